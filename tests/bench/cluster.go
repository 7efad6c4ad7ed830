package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"
)

// cluster is a peer's servers on loopback, with data in a directory of their own.
type cluster struct {
	peer
	binary string
	dir    string
	nodes  []*node
}

// startPatience bounds how long servers may take until they serve; a million keys may
// have to be replayed first.
const startPatience = 2 * time.Minute

// newCluster starts a peer's servers and waits until all are voters and serve.
func newCluster(ctx context.Context, p peer, binary, under string) (*cluster, error) {
	dir, err := os.MkdirTemp(under, p.name+"-")
	if err != nil {
		return nil, err
	}
	c := &cluster{peer: p, binary: binary, dir: dir}
	for range p.nodes {
		if _, err := c.addNode(false); err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	for _, n := range c.nodes {
		if err := n.start(c); err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	if err := c.awaitService(ctx, p.nodes); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// addNode makes room for one more server; late is one that the cluster begins without.
func (c *cluster) addNode(late bool) (*node, error) {
	n := &node{name: fmt.Sprintf("node%d", len(c.nodes)+1), late: late}
	n.dir, n.logFile = filepath.Join(c.dir, n.name), filepath.Join(c.dir, n.name+".log")
	for _, addr := range []*string{&n.raft, &n.http} {
		l, err := listenAnywhere()
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // only now, so that no two are the same
		*addr = fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port)
	}
	c.nodes = append(c.nodes, n)
	return n, os.MkdirAll(n.dir, 0o755)
}

// listenAnywhere finds a free port. The system would choose one that it may give to an
// outgoing connection as well, before the server has started or while it is dead. So this one
// is below those, of Linux and of macOS.
func listenAnywhere() (l net.Listener, err error) {
	const lowest, ephemeral, tries = 16384, 32768, 1000
	for range tries {
		l, err = net.Listen("tcp", fmt.Sprintf("localhost:%d", lowest+rand.IntN(ephemeral-lowest)))
		if err == nil {
			return l, nil
		}
	}
	return nil, err
}

// awaitService waits until all servers that run are ready, and know of so many voters.
func (c *cluster) awaitService(ctx context.Context, voters int) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for _, n := range c.nodes {
		last := error(nil)
		err := poll(ctx, 5*time.Millisecond, func() (done bool, err error) {
			if err := c.hasEnded(); err != nil {
				return false, err // the others would wait for it
			}
			var v view
			v, last = c.view(n)
			return last == nil && v.ready && v.voters == voters, nil
		})
		if err != nil {
			return fmt.Errorf("%s of %s does not serve: %w", n.name, c.name, errors.Join(err, last))
		}
	}
	return nil
}

// hasEnded tells of a server that ended by itself.
func (c *cluster) hasEnded() error {
	for _, n := range c.nodes {
		if n.cmd != nil && !n.running() {
			return fmt.Errorf("%s of %s ended: %s", n.name, c.name, n.lastWords())
		}
	}
	return nil
}

// leader finds the server that leads, among those that run.
func (c *cluster) leader(ctx context.Context) (leader *node, err error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	err = poll(ctx, 5*time.Millisecond, func() (bool, error) {
		for _, n := range c.nodes {
			if n.running() {
				if v, err := c.view(n); err == nil && v.leads && v.ready {
					leader = n
					return true, nil
				}
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, fmt.Errorf("no leader of %s: %w", c.name, err)
	}
	return leader, nil
}

// kill is kill -9 of all servers; their data stays.
func (c *cluster) kill() {
	for _, n := range c.nodes {
		n.kill()
	}
}

// stop ends all servers and removes their data.
func (c *cluster) stop() error {
	c.kill()
	return os.RemoveAll(c.dir)
}

// poll asks again and again until it is done, fails, or ctx ends.
func poll(ctx context.Context, every time.Duration, ask func() (done bool, err error)) error {
	for {
		done, err := ask()
		if done || err != nil {
			return err
		}
		if !pause(ctx, every) {
			return ctx.Err()
		}
	}
}

// pause says whether it came to its end before ctx did.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
