package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// clientAddressEnv is the node that client commands talk to.
const clientAddressEnv = "DBDB_HTTP"

const (
	// clientTimeout is longer than a node takes to look for a leader and to give up on it.
	clientTimeout = 15 * time.Second
	// maxAnswer is the longest answer that is read: the largest value, with each byte
	// written as an escape, fits.
	maxAnswer = 8 << 20
)

// client is a command that talks to a node.
type client struct {
	target string
	output string // "json" is the answer of the API as it is
	words  []string
	stdout io.Writer
}

// specs are the flags that a command takes.
func (c *client) specs(names []string) []flagSpec {
	var specs []flagSpec
	for _, name := range names {
		switch name {
		case "http":
			specs = append(specs, flagSpec{name: "http", value: "<address>", help: "the node to ask (default localhost:8221, or " + clientAddressEnv + ")",
				set: func(v string) error {
					var list []string
					err := addresses(&list)(v)
					if err == nil {
						c.target = list[0]
					}
					return err
				}})
		case "o":
			specs = append(specs, flagSpec{name: "o", value: "<format>", help: "text or json (default text)", noEnv: true, set: oneOf(&c.output, "text", "json")})
		}
	}
	return specs
}

// parse reads the command line and says whether it only asks for help.
func (c *client) parse(of command, specs []flagSpec, args []string, env environment) (help bool, err error) {
	words, given, err := parseWords(append(specs, helpSpec(&help)), args)
	if err != nil || help {
		return help, err
	}
	if err := parseEnv(specs, given, env); err != nil {
		return false, err
	}
	if c.target == "" {
		c.target = defaultTarget(env)
	}
	c.words = words
	return false, of.fits(words)
}

func helpSpec(help *bool) flagSpec {
	return flagSpec{name: "help", noEnv: true, help: "print this text", set: boolean(help)}
}

// defaultTarget is the node that shares this environment, as a container's does; else
// the first node of the README.
func defaultTarget(env environment) string {
	if port := env["DBDB_HTTP_PORT"]; port != "" {
		return net.JoinHostPort("localhost", port)
	}
	return "localhost:8221"
}

// ask makes a request that changes nothing. Any error means that it failed.
func (c *client) ask(ctx context.Context, path string) (answer, error) {
	a, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return a, fmt.Errorf("no answer from %s: %w", c.target, rootCause(err))
	}
	return a, c.judge(a)
}

// change makes a request that changes something. It tells what certainly did not happen
// from what nobody can say.
func (c *client) change(ctx context.Context, method, path string, body []byte) (answer, error) {
	a, err := c.send(ctx, method, path, body)
	_, notSent := errors.AsType[*notSentError](err)
	_, ours := a.problem()
	switch {
	case notSent:
		return a, fmt.Errorf("no answer from %s: %w", c.target, rootCause(err))
	case err != nil:
		return a, exit(exitUnknown, "%s was asked and did not answer: it may or may not have been done", c.target)
	case a.status >= 500 && !ours: // of something between us and the node
		return a, exit(exitUnknown, "%s answered with status %d: it may or may not have been done", c.target, a.status)
	}
	return a, c.judge(a)
}

func (c *client) send(ctx context.Context, method, path string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	return exchange(ctx, method, c.target, path, body)
}

// judge makes an error of an answer that is one.
func (c *client) judge(a answer) error {
	if a.status >= 200 && a.status < 300 {
		return nil
	}
	p, ok := a.problem()
	switch {
	case !ok:
		return fmt.Errorf("%s answered with status %d, not like a dbdb node", c.target, a.status)
	case p.Code == "outcome_unknown":
		return exit(exitUnknown, "%s", p.Detail)
	}
	return errors.New(p.Detail)
}

// strange is the error for an answer that another program gave.
func (c *client) strange() error { return fmt.Errorf("%s did not answer like a dbdb node", c.target) }

// strangeChange is strange for a request that changes something: whatever gave the answer may
// have passed the request on.
func (c *client) strangeChange() error {
	return exit(exitUnknown, "%w: it may or may not have been done", c.strange())
}

// print writes the answer as it is for -o json, and else what text writes, in columns.
func (c *client) print(a answer, text func(w io.Writer)) error {
	if c.output == "json" {
		_, err := c.stdout.Write(a.body)
		return err
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	text(w)
	return w.Flush()
}

// peerClient talks to nodes. It uses no proxy: the variables that name one are
// meant for the internet, and containers get them unasked.
var peerClient = &http.Client{
	Transport:     &http.Transport{},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// answer is what a node said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is the body of an error of the API.
type problem struct{ Code, Detail string }

func (a answer) problem() (p problem, ok bool) {
	err := json.Unmarshal(a.body, &p)
	return p, err == nil && p.Code != ""
}

// notSentError is the error of a request that never left: nothing was done.
type notSentError struct{ err error }

func (e *notSentError) Error() string { return e.err.Error() }
func (e *notSentError) Unwrap() error { return e.err }

// exchange makes one HTTP request.
func exchange(ctx context.Context, method, addr, path string, body []byte) (answer, error) {
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, &notSentError{err}
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := peerClient.Do(req)
	if err != nil {
		if !connected.Load() {
			err = &notSentError{err}
		}
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(b) > maxAnswer {
		err = fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	return answer{resp.StatusCode, resp.Header, b}, err
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
