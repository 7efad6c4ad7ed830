package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"dbdb/httpapi"
)

// members lists the members.
func members(ctx context.Context, c *client) error {
	a, err := c.ask(ctx, "/v1/members")
	if err != nil {
		return err
	}
	return c.printMembers(a, c.strange())
}

// removeMember removes one, and lists those that remain.
func removeMember(ctx context.Context, c *client) error {
	a, err := c.change(ctx, http.MethodDelete, "/v1/members/"+url.PathEscape(c.words[0]), nil)
	if err != nil {
		return err
	}
	return c.printMembers(a, c.strangeChange())
}

// printMembers lists the members in an answer; strange is the error if there are none.
func (c *client) printMembers(a answer, strange error) error {
	var reply httpapi.MembersReply
	if err := json.Unmarshal(a.body, &reply); err != nil || reply.Members == nil {
		return strange
	}
	return c.print(a, func(w io.Writer) {
		fmt.Fprintln(w, "NAME\tROLE\tRAFT\tHTTP\tID")
		for _, m := range reply.Members {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.Name, m.Role, m.RaftAddr, m.HTTPAddr, m.ID)
		}
	})
}
