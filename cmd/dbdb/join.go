package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	maxJoinAnswer  = 1 << 20
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
	for pause := joinFirstPause; ; pause = min(2*pause, joinLastPause) {
		cluster, err = j.askAll(timeout)
		switch {
		case err == nil:
			return cluster, nil
		case ctx.Err() != nil:
			return "", ctx.Err()
		case isFinal(err):
			return "", err
		case !sleep(timeout, pause):
			return "", fmt.Errorf("could not join within %v: %w", j.o.joinTimeout, err)
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
		var reply httpapi.JoinReply
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

// ask sends one POST /join.
func (j joiner) ask(ctx context.Context, addr string) (httpapi.JoinReply, error) {
	ctx, cancel := context.WithTimeout(ctx, joinAttempt)
	defer cancel()
	request, err := j.request(ctx, addr)
	if err != nil {
		return httpapi.JoinReply{}, err
	}
	body, err := json.Marshal(request)
	if err != nil {
		return httpapi.JoinReply{}, err
	}
	status, answer, err := exchange(ctx, http.MethodPost, "http://"+addr+"/join", body)
	if err != nil {
		return httpapi.JoinReply{}, err
	}
	return readJoinReply(addr, status, answer)
}

// request says who we are and how we are reached, seen from addr.
func (j joiner) request(ctx context.Context, addr string) (httpapi.JoinRequest, error) {
	local, err := localAddress(ctx, addr)
	if err != nil {
		return httpapi.JoinRequest{}, err
	}
	host, err := advertised(j.o, local)
	return httpapi.JoinRequest{
		ID: j.identity.Node, Instance: j.identity.Instance, Cluster: j.identity.Cluster,
		RaftAddr: hostPort(host, j.o.raftPort), HTTPAddr: hostPort(host, j.o.httpPort),
	}, err
}

func readJoinReply(addr string, status int, answer []byte) (httpapi.JoinReply, error) {
	if status == http.StatusOK {
		var reply httpapi.JoinReply
		if err := json.Unmarshal(answer, &reply); err != nil || reply.Cluster == "" {
			return reply, fmt.Errorf("%s did not answer like a dbdb node", addr)
		}
		return reply, nil
	}
	var p struct{ Code, Detail string }
	if err := json.Unmarshal(answer, &p); err != nil || p.Code == "" {
		return httpapi.JoinReply{}, fmt.Errorf("%s answered with status %d, not like a dbdb node", addr, status)
	}
	if status >= 400 && status < 500 && status != http.StatusTooManyRequests {
		return httpapi.JoinReply{}, &refusedError{p.Code, p.Detail}
	}
	return httpapi.JoinReply{}, fmt.Errorf("%s: %s", addr, p.Detail)
}

// probe asks the first address that answers which cluster it belongs to; "" if none
// answers or belongs to one. It needs no leader there.
func (j joiner) probe(ctx context.Context) (addr, cluster string) {
	for _, addr := range j.o.join {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		status, answer, err := exchange(ctx, http.MethodGet, "http://"+addr+"/v1/members", nil)
		cancel()
		var reply httpapi.JoinReply
		if err == nil && status == http.StatusOK && json.Unmarshal(answer, &reply) == nil && reply.Cluster != "" {
			return addr, reply.Cluster
		}
	}
	return "", ""
}

// exchange makes one HTTP request.
func exchange(ctx context.Context, method, url string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := peerClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxJoinAnswer))
	return resp.StatusCode, answer, err
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

// sleep returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
