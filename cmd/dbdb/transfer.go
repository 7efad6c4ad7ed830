package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"dbdb/httpapi"
)

// transfer lets the member that is named lead, or whoever suits best.
func transfer(ctx context.Context, c *client) error {
	fields := map[string]string{}
	if len(c.words) > 0 {
		fields["to"] = c.words[0]
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	a, err := c.change(ctx, http.MethodPost, "/v1/leader/transfer", body)
	if err != nil {
		return err
	}
	var reply httpapi.TransferReply
	if err := json.Unmarshal(a.body, &reply); err != nil || reply.Leader == "" {
		return c.strangeChange()
	}
	return c.print(a, func(w io.Writer) { fmt.Fprintln(w, reply.Leader+" leads") })
}
