package main

import (
	"context"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// etcdSharing is how many clients share one gRPC connection. That is what makes gRPC
// cheap: with a connection for each, a get cost client and server half as much again, and
// with one for 16 a tenth more.
const etcdSharing = 64

// etcdRedial is how long gRPC waits before it connects again to a server that was not there.
// Its default, a second and more, would be measured as the server's time to start.
const etcdRedial = 2 * time.Millisecond

// etcdClient is etcd's own Go client, of one server.
type etcdClient struct {
	shared  *etcdConn
	timeout time.Duration
}

// etcdConn is closed by the last who uses it.
type etcdConn struct {
	*clientv3.Client
	users atomic.Int32
}

func dialEtcd(addr string, n int, timeout time.Duration) (clients []client, err error) {
	var shared *etcdConn
	for k := range n {
		if k%etcdSharing == 0 {
			c, err := openEtcd(addr)
			if err != nil {
				return nil, err
			}
			shared = &etcdConn{Client: c}
		}
		shared.users.Add(1)
		clients = append(clients, &etcdClient{shared, timeout})
	}
	return clients, nil
}

func openEtcd(addr string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: []string{"http://" + addr}, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: etcdRedial, Multiplier: 1, MaxDelay: etcdRedial}, MinConnectTimeout: time.Second,
		})},
	})
}

func (c *etcdClient) set(key, value string) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	_, err := c.shared.Put(ctx, key, value)
	return err
}

func (c *etcdClient) get(key string, stale bool) (value string, found bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	var options []clientv3.OpOption
	if stale {
		options = append(options, clientv3.WithSerializable())
	}
	resp, err := c.shared.Get(ctx, key, options...)
	if err != nil || len(resp.Kvs) == 0 {
		return "", false, err
	}
	return string(resp.Kvs[0].Value), true, nil
}

func (c *etcdClient) close() {
	if c.shared.users.Add(-1) == 0 {
		_ = c.shared.Close()
	}
}

// withEtcd asks what is not measured.
func withEtcd(n *node, ask func(ctx context.Context, c *clientv3.Client) error) error {
	c, err := openEtcd(n.http)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return ask(ctx, c)
}

// etcdView is what a server says of its cluster.
func etcdView(n *node) (v view, err error) {
	err = withEtcd(n, func(ctx context.Context, c *clientv3.Client) error {
		st, err := c.Status(ctx, "http://"+n.http)
		if err != nil {
			return err
		}
		members, err := c.MemberList(ctx)
		if err != nil {
			return err
		}
		v = view{leads: st.Leader == st.Header.MemberId, ready: st.Leader != 0, voters: len(members.Members)}
		return nil
	})
	return v, err
}

// etcdJoin tells the cluster of a server that is about to start.
func etcdJoin(leader, joiner *node) error {
	return withEtcd(leader, func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.MemberAdd(ctx, []string{"http://" + joiner.raft})
		return err
	})
}
