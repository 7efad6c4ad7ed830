package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"dbdb/httpapi"
	"dbdb/raft"
)

// status prints what a node knows.
func status(ctx context.Context, c *client) error {
	a, err := c.ask(ctx, "/v1/status")
	if err != nil {
		return err
	}
	var st httpapi.Status
	if err := json.Unmarshal(a.body, &st); err != nil || st.Name == "" {
		return c.strange()
	}
	return c.print(a, func(w io.Writer) { printStatus(w, st) })
}

func printStatus(w io.Writer, st httpapi.Status) {
	ready := "not ready: see dbdb health"
	if st.Ready {
		ready = "ready"
	}
	fmt.Fprintf(w, "node:\t%s (%s), %s\n", st.Name, dash(st.ID), ready)
	fmt.Fprintf(w, "cluster:\t%s\n", dash(st.Cluster))
	fmt.Fprintf(w, "state:\t%s in term %d, leader %s\n", st.State, st.Term, dash(st.Leader))
	fmt.Fprintf(w, "log:\tcommitted %d, applied %d, last %d, snapshot %d\n", st.CommitIndex, st.AppliedIndex, st.LastIndex, st.SnapshotIndex)
	fmt.Fprintf(w, "keys:\t%d\n", st.Keys)
	if st.RemovedAt != 0 {
		fmt.Fprintf(w, "removed:\tat index %d\n", st.RemovedAt)
	}
	if st.CatchingUp != nil {
		fmt.Fprintf(w, "catching up:\t%s\n", st.CatchingUp.Detail)
	}
	if len(st.Members) == 0 {
		return
	}
	// The empty line ends the columns above: those of the table are its own.
	fmt.Fprintln(w, "\nNAME\tROLE\tRAFT\tHTTP\tREACHABLE\tMATCH\tCATCHING UP")
	for _, m := range st.Members {
		catchingUp := "-"
		if m.CatchingUp != nil {
			catchingUp = m.CatchingUp.Detail
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, m.Role, m.RaftAddr, m.HTTPAddr, yesOrNo(m.Reachable), index(m.MatchIndex), catchingUp)
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yesOrNo(b *bool) string {
	switch {
	case b == nil:
		return "-"
	case *b:
		return "yes"
	}
	return "no"
}

func index(i *raft.Index) string {
	if i == nil {
		return "-"
	}
	return fmt.Sprint(*i)
}
