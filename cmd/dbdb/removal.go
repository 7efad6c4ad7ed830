package main

import (
	"context"
	"fmt"
	"time"

	"dbdb/httpapi"
)

const (
	// removalLook is how often a node looks whether it was removed.
	removalLook = 250 * time.Millisecond
	// forgottenAfter is how long a node that is started again with nothing in its log waits
	// for a leader to speak to it.
	forgottenAfter = 5 * time.Second
)

// watchRemoval does what the command line says about a node that was removed while it
// was down: with --join it asks to be added again, as the same server, which is safe;
// with --bootstrap it refuses, as its data is another cluster's. Else it stays and says
// so, and so does a node that is removed while it runs: it was started as a
// member, and who removed it does not want it back.
func (p *process) watchRemoval(ctx context.Context, b httpapi.Backend, j joiner) error {
	said, remembered := false, !p.restarted || len(p.o.join) == 0
	silentSince := time.Now()
	for {
		info := b.Info()
		remembered = remembered || info.Leader != "" || len(info.Configuration.Members) > 0
		switch {
		case !remembered && time.Since(silentSince) >= forgottenAfter:
			// It joined, and stopped before it was told who else there is: so it has nobody to
			// ask whether it was removed. If it is a member still, this changes nothing.
			p.log.Info("asking to be added again: no leader speaks to this node, which has nothing yet")
			_, err := j.join(ctx)
			if isFinal(err) {
				return identityError(err)
			}
			remembered, silentSince = err == nil, time.Now()
		case info.RemovedAt == 0:
			said = false
		case said:
		case info.TookPart || !p.o.bootstrap && len(p.o.join) == 0:
			p.plainLog.Warn(fmt.Sprintf("%s was removed at index %d", info.Name, info.RemovedAt))
			said = true
		case p.o.bootstrap:
			return exit(exitData, "cannot bootstrap: this directory holds data of cluster %s; move it away to start a new cluster", httpapi.ShortCluster(info.Cluster))
		default:
			p.log.Info("asking to be added again", "removedAt", uint64(info.RemovedAt))
			if _, err := j.join(ctx); err != nil && ctx.Err() == nil {
				return identityError(err)
			}
			said = true
		}
		if !httpapi.Pause(ctx, removalLook) {
			return nil
		}
	}
}
