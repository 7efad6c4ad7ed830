// Command hashicorp is the README's store on hashicorp/raft and raft-boltdb instead of
// dbdb's own Raft and log: the same HTTP server, the same commands, the same store. So what
// differs between the two is Raft and the disk, and nothing else.
//
//	hashicorp -name node1 -dir data -members node1=localhost:2221=localhost:8221,node2=…
//
// All members of a new cluster are started with the same -members; one that shall be added
// by POST /join has only itself there and -join. With -memory nothing is kept on disk.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/hashicorp/raft"

	"dbdb/httpapi"
	"dbdb/kvstore"
	dbdb "dbdb/raft"
)

type options struct {
	name, dir, members string
	join, memory       bool
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", "", "which of the members this is")
	flag.StringVar(&o.dir, "dir", "", "where its data is")
	flag.StringVar(&o.members, "members", "", "name=raft address=HTTP address, with commas between")
	flag.BoolVar(&o.join, "join", false, "wait to be added")
	flag.BoolVar(&o.memory, "memory", false, "keep nothing on disk")
	flag.Parse()
	fmt.Fprintln(os.Stderr, "hashicorp:", run(o))
	os.Exit(1)
}

// run serves until something breaks or the process is killed.
func run(o options) error {
	servers, err := parseMembers(o.members)
	if err != nil {
		return err
	}
	self, err := find(servers, o.name)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", httpAddr(self.ID))
	if err != nil {
		return err
	}
	store := kvstore.New()
	r, err := open(o, self, servers, &machine{store})
	if err != nil {
		return err
	}
	b := newBackend(r, self.ID)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return httpapi.New(httpapi.Options{Backend: b, Store: store, Logger: log}).Serve(ln)
}

// A server's id in hashicorp/raft is dbdb's id, which the API answers with, and its HTTP
// address, which hashicorp/raft has no other place for: node1.h@localhost:8221.
func serverID(id dbdb.NodeID, http string) raft.ServerID {
	return raft.ServerID(string(id) + "@" + http)
}

func nodeID(id raft.ServerID) dbdb.NodeID {
	name, _, _ := strings.Cut(string(id), "@")
	return dbdb.NodeID(name)
}

func httpAddr(id raft.ServerID) string {
	_, addr, _ := strings.Cut(string(id), "@")
	return addr
}

func parseMembers(list string) (servers []raft.Server, err error) {
	for member := range strings.SplitSeq(list, ",") {
		parts := strings.Split(member, "=")
		if len(parts) != 3 {
			return nil, fmt.Errorf("a member is name=raft address=HTTP address, not %q", member)
		}
		servers = append(servers, raft.Server{
			ID: serverID(dbdb.NewNodeID(parts[0], "h"), parts[2]), Address: raft.ServerAddress(parts[1]),
		})
	}
	return servers, nil
}

func find(servers []raft.Server, name string) (raft.Server, error) {
	for _, s := range servers {
		if nodeID(s.ID).Name() == name {
			return s, nil
		}
	}
	return raft.Server{}, fmt.Errorf("%q is none of the members", name)
}
