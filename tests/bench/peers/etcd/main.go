// Command etcd is etcd as its own server package starts it, with its defaults.
package main

import (
	"flag"
	"fmt"
	"net/url"
	"os"

	"go.etcd.io/etcd/server/v3/embed"
)

func main() {
	name := flag.String("name", "", "which of the members this is")
	dir := flag.String("dir", "", "where its data is")
	client := flag.String("client", "", "address for clients")
	peer := flag.String("peer", "", "address for the other members")
	members := flag.String("members", "", "name=http://peer address, with commas between")
	join := flag.Bool("join", false, "the cluster is there already and knows this member")
	flag.Parse()

	c := embed.NewConfig()
	c.Name, c.Dir, c.InitialCluster = *name, *dir, *members
	c.ListenClientUrls, c.AdvertiseClientUrls = urls(*client), urls(*client)
	c.ListenPeerUrls, c.AdvertisePeerUrls = urls(*peer), urls(*peer)
	c.LogLevel = "error"
	if *join {
		c.ClusterState = embed.ClusterStateFlagExisting
	}
	e, err := embed.StartEtcd(c)
	if err == nil {
		err = <-e.Err()
	}
	fmt.Fprintln(os.Stderr, "etcd:", err)
	os.Exit(1)
}

func urls(address string) []url.URL { return []url.URL{{Scheme: "http", Host: address}} }
