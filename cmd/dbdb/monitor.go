package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"dbdb/httpapi"
)

const (
	quorumLook    = 250 * time.Millisecond // how often the monitor looks
	quorumSilence = 2 * time.Second        // without a leader, before it speaks
	quorumRepeat  = 5 * time.Second        // between two sentences
)

// monitorQuorum says every few seconds, and by name, what a cluster without a leader
// waits for. A node that is started alone after its cluster was stopped
// does nothing wrong and nothing at all, and looks as if it hung.
func monitorQuorum(ctx context.Context, b httpapi.Backend, log *slog.Logger) {
	ticker := time.NewTicker(quorumLook)
	defer ticker.Stop()
	speakAt := time.Now().Add(quorumSilence)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			info := b.Info()
			switch {
			case info.Leader != "" || info.RemovedAt != 0:
				speakAt = now.Add(quorumSilence)
			case !now.Before(speakAt):
				log.Warn(waitingFor(info, b))
				speakAt = now.Add(quorumRepeat)
			}
		}
	}
}

func waitingFor(info httpapi.Info, b httpapi.Backend) string {
	if len(info.Configuration.Members) == 0 {
		return "waiting for the leader to send the log: this node has nothing yet (if it was removed meanwhile, start it with --join)"
	}
	have, voters, missing := httpapi.Quorum(info, b.Reachable)
	if missing == "" {
		return fmt.Sprintf("waiting for a leader: have %d of %d voters", have, voters)
	}
	return fmt.Sprintf("waiting for a quorum: have %d of %d voters, not reachable: %s", have, voters, missing)
}
