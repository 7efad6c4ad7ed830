package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// clientAddressEnv is the node that client commands talk to.
const clientAddressEnv = "DBDB_HTTP"

const (
	healthUsage    = "usage: dbdb health [--http <address>]"
	healthTimeout  = 3 * time.Second
	maxHealthBytes = 64 << 10
)

// health asks a node whether it lives, and prints what it is ready for. It is what a
// container without curl has for a health check. A node that waits for a quorum
// is healthy: to restart it, or to hold back the nodes that it waits for until
// it is ready, would make it wait for ever.
func health(ctx context.Context, args []string, env environment, stdout io.Writer) error {
	target, err := healthTarget(args, env)
	if u, ok := errors.AsType[*usageError](err); ok {
		return &usageError{u.text, healthUsage}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if status, err := fetch(ctx, target, "/healthz", io.Discard); err != nil {
		return err
	} else if status != http.StatusOK {
		return fmt.Errorf("%s is not healthy", target)
	}
	_, err = fetch(ctx, target, "/readyz?verbose", stdout)
	return err
}

// peerClient talks to nodes. It uses no proxy: the variables that name one are
// meant for the internet, and containers get them unasked.
var peerClient = &http.Client{Transport: &http.Transport{}}

// fetch copies the answer to a GET and returns its status.
func fetch(ctx context.Context, target, path string, to io.Writer) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := peerClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("no answer from %s: %w", target, rootCause(err))
	}
	defer resp.Body.Close()
	if _, err := io.Copy(to, io.LimitReader(resp.Body, maxHealthBytes)); err != nil {
		return 0, fmt.Errorf("no answer from %s: %w", target, err)
	}
	return resp.StatusCode, nil
}

// healthTarget is --http, else DBDB_HTTP, else the port of the node that shares
// this environment (a container's), else the first node of the README.
func healthTarget(args []string, env environment) (string, error) {
	var target []string
	specs := []flagSpec{{name: "http", value: "<address>", set: addresses(&target)}}
	given, err := parseFlags(specs, args)
	if err != nil {
		return "", err
	}
	if err := parseEnv(specs, given, env); err != nil {
		return "", err
	}
	switch port := env["DBDB_HTTP_PORT"]; {
	case target != nil:
		return target[0], nil
	case port != "":
		return net.JoinHostPort("localhost", port), nil
	}
	return "localhost:8221", nil
}

// rootCause is the innermost error: "connection refused" instead of a sentence that
// repeats the address three times.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
