package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dbdb/httpapi"
	"dbdb/kvstore"
	"dbdb/raft"
	"dbdb/raft/wal"
)

// recovery is a survivor that shall go on alone, after a majority of its cluster is lost
// for good. Raft cannot help it: whoever is gone may have acknowledged what it never
// heard of. So it becomes a new cluster, whose data is what it has.
type recovery struct {
	dir    *wal.Dir
	path   string
	stdout io.Writer
	state  raft.Restored
	before raft.Configuration
	self   raft.Member
}

// recoverCommand is dbdb recover. Without --yes it only says what it would do.
func recoverCommand(c command, args []string, env environment, stdout io.Writer) error {
	var path, name string
	var yes, help bool
	specs := []flagSpec{
		{name: "data-dir", value: "<path>", help: "the directory of a node that is stopped", set: text(&path)},
		{name: "node-id", value: "<id>", help: "whose data it must be (default: whoever's it is)", set: func(v string) error {
			name = v
			return matches(v)
		}},
		{name: "yes", noEnv: true, help: "do it; without this, only say what would be done", set: boolean(&yes)},
		helpSpec(&help),
	}
	words, given, err := parseWords(specs, args)
	if err == nil && !help {
		err = c.fits(words)
	}
	if err == nil && !help {
		err = parseEnv(specs, given, env)
	}
	switch {
	case err != nil:
		return c.misused(err)
	case help:
		_, err := io.WriteString(stdout, c.usage(specs))
		return err
	case path == "":
		return c.misused(errors.New("--data-dir is missing"))
	}
	r, err := openSurvivor(path, name, stdout)
	if err != nil {
		return err
	}
	return errors.Join(r.run(yes), r.dir.Close())
}

// openSurvivor opens a directory that belongs to a cluster, and makes none.
func openSurvivor(path, name string, stdout io.Writer) (_ *recovery, err error) {
	if _, err := os.Stat(filepath.Join(path, "identity.json")); errors.Is(err, fs.ErrNotExist) {
		return nil, exit(exitData, "%s cannot be recovered: there is no identity.json, so it is no data directory, or it is damaged", path)
	}
	if name == "" {
		// It is asked for as nobody's, to hear whose it is.
		_, err := wal.Open(wal.OS{}, path, wal.Options{Node: "?"})
		owner, ok := errors.AsType[*wal.MismatchError](err)
		if !ok {
			return nil, err
		}
		name = owner.Have
	}
	dir, err := wal.Open(wal.OS{}, path, wal.Options{Node: name})
	if err != nil {
		return nil, err
	}
	r := &recovery{dir: dir, path: path, stdout: stdout, state: dir.Log().Restored()}
	if err := r.verifySnapshot(); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	r.before = configurationOf(r.state)
	var member bool
	r.self, member = r.before.Member(dir.Identity().NodeID())
	switch {
	case dir.Identity().Cluster == "" || dir.Identity().Founding || isEmpty(r.state):
		err = exit(exitData, "%s never belonged to a cluster: start %s with --bootstrap or --join", path, name)
	case !member:
		err = exit(exitData, "%s is no member of the newest configuration in %s, it was removed: recover another survivor", name, path)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return r, nil
}

// verifySnapshot reads the snapshot to its end, as a start would: a survivor whose data is
// damaged must not be chosen, and must stay what it is.
func (r *recovery) verifySnapshot() error {
	if r.state.Snapshot.Index == 0 {
		return nil
	}
	return r.dir.Snapshots().Load(r.state.Snapshot, func(state io.Reader) error {
		_, err := kvstore.New().Restore(state)
		return err
	})
}

func (r *recovery) run(yes bool) error {
	cluster := r.dir.Identity().Cluster
	if len(r.before.Members) == 1 {
		fmt.Fprintf(r.stdout, "Nothing to do: %s is the only member of cluster %s.\n", r.self.Name(), httpapi.ShortCluster(cluster))
		return nil
	}
	r.describe()
	if !yes {
		return exit(exitUsage, "nothing was changed: add --yes to do it")
	}
	// The new cluster comes first. After a crash in between this node has the old
	// configuration, but no member of it talks to the new cluster; and to recover
	// again completes it. The other way round, two servers could lead the same cluster.
	cluster = newClusterID()
	if err := r.dir.SetCluster(cluster, false); err != nil {
		return err
	}
	if err := r.dir.Log().Save(soleVoter(r.self, r.state)); err != nil {
		return err
	}
	fmt.Fprintf(r.stdout, "Done: %s is the only member of the new cluster %s. Start it with its old command line.\n", r.self.Name(), httpapi.ShortCluster(cluster))
	return nil
}

// describe says what is about to happen, and what it costs.
func (r *recovery) describe() {
	var dropped []string
	for _, m := range r.before.Members {
		if m.ID != r.self.ID {
			dropped = append(dropped, fmt.Sprintf("%s (%v, %s)", m.Name(), m.Role, m.RaftAddr))
		}
	}
	last, term := lastEntry(r.state)
	fmt.Fprintf(r.stdout, `%[1]s (%[2]v) becomes the only voter of a new cluster, with the data in %[3]s.
  its log ends at index %[4]d, of term %[5]d
  dropped are     %[6]s
What the others acknowledged and %[1]s does not have is lost.
What %[1]s has but nobody was told of may come into force.
The others can come back only as new nodes: delete their data, then start them with --join.
`, r.self.Name(), r.self.Role, r.path, last, term, strings.Join(dropped, ", "))
}

// soleVoter is the Save that makes a server the only voter of its cluster, whatever its
// log says. It is in a new term: nobody leads that one, so nobody else can have an entry
// there. It must be durable before the server starts.
func soleVoter(self raft.Member, disk raft.Restored) raft.Save {
	self.Role = raft.Voter
	last, _ := lastEntry(disk)
	c := raft.Configuration{Members: []raft.Member{self}}
	return raft.Save{
		Seq:     1,
		Term:    disk.Term + 1,
		Entries: []raft.Entry{{Index: last + 1, Term: disk.Term + 1, Kind: raft.EntryConfiguration, Data: c.Encode()}},
	}
}

// lastEntry is where a log ends, or the snapshot before it.
func lastEntry(disk raft.Restored) (raft.Index, raft.Term) {
	if n := len(disk.Entries); n > 0 {
		return disk.Entries[n-1].Index, disk.Entries[n-1].Term
	}
	return disk.Snapshot.Index, disk.Snapshot.Term
}
