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

// health asks a node whether it is ready and prints its checks. It is what a
// container without curl has for a health check.
func health(ctx context.Context, args []string, env environment, stdout io.Writer) error {
	target, err := healthTarget(args, env)
	if u, ok := errors.AsType[*usageError](err); ok {
		return &usageError{u.text, healthUsage}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target+"/readyz?verbose", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from %s: %w", target, rootCause(err))
	}
	defer resp.Body.Close()
	if _, err := io.Copy(stdout, io.LimitReader(resp.Body, maxHealthBytes)); err != nil {
		return fmt.Errorf("no answer from %s: %w", target, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not ready", target)
	}
	return nil
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
