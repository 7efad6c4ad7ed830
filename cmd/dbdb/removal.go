package main

import (
	"context"
	"fmt"
	"time"

	"dbdb/httpapi"
)

// removalLook is how often a node looks whether it was removed.
const removalLook = 250 * time.Millisecond

// watchRemoval does what the command line says about a node that was removed while it
// was down: with --join it asks to be added again, as the same server, which is safe;
// with --bootstrap it refuses, as its data is another cluster's. Else it stays and says
// so, and so does a node that is removed while it runs: it was started as a
// member, and who removed it does not want it back.
func (p *process) watchRemoval(ctx context.Context, b httpapi.Backend, j joiner) error {
	said := false
	for {
		info := b.Info()
		switch {
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
