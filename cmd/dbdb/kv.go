package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"unicode/utf8"
)

// get prints the value of a key, and a line end.
func get(ctx context.Context, c *client) error {
	a, err := c.ask(ctx, "/get?key="+url.QueryEscape(c.words[0]))
	if err != nil {
		return err
	}
	var reply struct{ Data *string }
	if err := json.Unmarshal(a.body, &reply); err != nil || reply.Data == nil {
		return c.strange()
	}
	found := a.header.Get("Dbdb-Found") == "true"
	switch {
	case c.output == "json":
		_, err = c.stdout.Write(a.body)
	case found:
		_, err = fmt.Fprintln(c.stdout, *reply.Data)
	}
	if err == nil && !found {
		return exit(exitNotFound, "key %q not found", c.words[0])
	}
	return err
}

// set sets a key. Like other commands that change something it is silent when it is done.
func set(ctx context.Context, c *client) error {
	return write(ctx, c, map[string]string{"op": "set", "key": c.words[0], "value": c.words[1]})
}

// del deletes a key, whether there is one or not.
func del(ctx context.Context, c *client) error {
	return write(ctx, c, map[string]string{"op": "del", "key": c.words[0]})
}

func write(ctx context.Context, c *client, fields map[string]string) error {
	for name, text := range fields {
		if !utf8.ValidString(text) { // it would be written as another text
			return &usageError{"the " + name + " is not valid UTF-8", helpHint}
		}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	a, err := c.change(ctx, http.MethodPost, "/apply", body)
	if err != nil {
		return err
	}
	if a.header.Get("Dbdb-Index") == "" {
		return c.strangeChange()
	}
	a.body = fmt.Appendf(nil, "{\"index\":%s,\"term\":%s}\n", a.header.Get("Dbdb-Index"), a.header.Get("Dbdb-Term"))
	return c.print(a, func(io.Writer) {})
}
