package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const healthTimeout = 3 * time.Second

// health asks a node whether it lives, and prints what it is ready for. It is what a
// container without curl has for a health check. A node that waits for a quorum
// is healthy: to restart it, or to hold back the nodes that it waits for until
// it is ready, would make it wait for ever.
func health(ctx context.Context, c *client) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	alive, err := c.send(ctx, http.MethodGet, "/healthz", nil)
	if err == nil && alive.status != http.StatusOK {
		return fmt.Errorf("%s is not healthy", c.target)
	}
	var ready answer
	if err == nil {
		ready, err = c.send(ctx, http.MethodGet, "/readyz?verbose", nil)
	}
	if err != nil {
		return fmt.Errorf("no answer from %s: %w", c.target, rootCause(err))
	}
	_, err = c.stdout.Write(ready.body)
	return err
}
