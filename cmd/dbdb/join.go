package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"dbdb/httpapi"
	"dbdb/raft/wal"
)

// Bounds of joining. The back-off doubles from the first to the last.
const (
	joinFirstPause = 200 * time.Millisecond
	joinLastPause  = 5 * time.Second
	joinAttempt    = 10 * time.Second // more than a leader may take to answer
	joinDial       = 2 * time.Second
	probeTimeout   = time.Second
)

// joiner asks the members of a cluster to be let in.
type joiner struct {
	o        options
	identity wal.Identity
	log      *slog.Logger
}

// refusedError is a refusal that asking again does not change.
type refusedError struct {
	code   string
	detail string
}

func (e *refusedError) Error() string { return e.detail }

// join asks until it is let in, and returns the cluster's id. The order of things
// does not matter: the member that it asks may be started later.
func (j joiner) join(ctx context.Context) (cluster string, err error) {
	timeout, cancel := context.WithTimeout(ctx, j.o.joinTimeout)
	defer cancel()
	var reason error // the last one that is not just the end of our own patience
	for pause := joinFirstPause; ; pause = min(2*pause, joinLastPause) {
		cluster, err = j.askAll(timeout)
		if timeout.Err() == nil || reason == nil {
			reason = err
		}
		switch {
		case err == nil:
			return cluster, nil
		case ctx.Err() != nil:
			return "", ctx.Err()
		case isFinal(err):
			return "", err
		case !httpapi.Pause(timeout, pause):
			return "", fmt.Errorf("could not join within %v: %w", j.o.joinTimeout, reason)
		}
	}
}

func isFinal(err error) bool {
	_, refused := errors.AsType[*refusedError](err)
	_, usage := errors.AsType[*usageError](err)
	return refused || usage
}

// askAll asks each address once and returns the last error if none lets us in.
func (j joiner) askAll(ctx context.Context) (cluster string, err error) {
	for _, addr := range j.o.join {
		j.log.Info("joining", "address", addr)
		var reply httpapi.MembersReply
		reply, err = j.ask(ctx, addr)
		if err == nil {
			j.log.Info("joined", "cluster", httpapi.ShortCluster(reply.Cluster), "members", len(reply.Members))
			return reply.Cluster, nil
		}
		if isFinal(err) || ctx.Err() != nil {
			return "", err
		}
		j.log.Warn("not joined yet", "address", addr, "err", err)
	}
	return "", err
}

// ask asks to be let in, or to have the address updated, through addr.
func (j joiner) ask(ctx context.Context, addr string) (httpapi.MembersReply, error) {
	ctx, cancel := context.WithTimeout(ctx, joinAttempt)
	defer cancel()
	local, err := localAddress(ctx, addr)
	if err != nil {
		return httpapi.MembersReply{}, err
	}
	request, err := j.request(local)
	if err != nil {
		return httpapi.MembersReply{}, err
	}
	return j.send(ctx, addr, request)
}

// send makes one POST /join.
func (j joiner) send(ctx context.Context, addr string, request httpapi.JoinRequest) (httpapi.MembersReply, error) {
	ctx, cancel := context.WithTimeout(ctx, joinAttempt)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return httpapi.MembersReply{}, err
	}
	a, err := exchange(ctx, http.MethodPost, addr, "/join", body)
	if err != nil {
		return httpapi.MembersReply{}, err
	}
	return readJoinReply(addr, a)
}

// request says who we are and how we are reached. local is the address that we have
// towards the cluster.
func (j joiner) request(local string) (httpapi.JoinRequest, error) {
	host, err := advertised(j.o, local)
	return httpapi.JoinRequest{
		ID: j.identity.Node, Instance: j.identity.Instance, Cluster: j.identity.Cluster,
		RaftAddr: hostPort(host, j.o.raftPort), HTTPAddr: hostPort(host, j.o.httpPort),
	}, err
}

func readJoinReply(addr string, a answer) (httpapi.MembersReply, error) {
	if a.status == http.StatusOK {
		var reply httpapi.MembersReply
		if err := json.Unmarshal(a.body, &reply); err != nil || reply.Cluster == "" {
			return reply, fmt.Errorf("%s did not answer like a dbdb node", addr)
		}
		return reply, nil
	}
	p, ok := a.problem()
	switch {
	case !ok:
		return httpapi.MembersReply{}, fmt.Errorf("%s answered with status %d, not like a dbdb node", addr, a.status)
	case a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests:
		return httpapi.MembersReply{}, &refusedError{p.Code, p.Detail}
	}
	return httpapi.MembersReply{}, fmt.Errorf("%s: %s", addr, p.Detail)
}

// probe asks the first address that answers which cluster it belongs to; "" if none
// answers or belongs to one. It needs no leader there.
func (j joiner) probe(ctx context.Context) (addr, cluster string) {
	for _, addr := range j.o.join {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		a, err := exchange(ctx, http.MethodGet, addr, "/v1/members", nil)
		cancel()
		var reply httpapi.MembersReply
		if err == nil && a.status == http.StatusOK && json.Unmarshal(a.body, &reply) == nil && reply.Cluster != "" {
			return addr, reply.Cluster
		}
	}
	return "", ""
}

// localAddress is the address that this machine has towards addr.
func localAddress(ctx context.Context, addr string) (string, error) {
	conn, err := (&net.Dialer{Timeout: joinDial}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("no connection to %s: %w", addr, rootCause(err))
	}
	defer conn.Close()
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	return host, err
}
