package sim

import (
	"fmt"

	"dbdb/raft"
)

// growth is how the servers of a run become a cluster.
type growth uint8

const (
	grown       growth = iota // all of them are in the first entry of every log
	growsCalmly               // the founders are in it; the others are added before the faults begin
	growsInFire               // the founders are in it; the others are added while it burns
)

// profile is what one run is like. Each kind of fault is on or off, and as strong
// as the draw has it: runs in which a fault is missing find other failures than
// those in which everything burns (swarm testing, Groce et al. 2012). Shares are
// per mille, times are in µs.
type profile struct {
	nodes     int
	founders  int    // servers in the first entry of the log
	growth    growth // how the others join them
	storm     storm
	faultTime int64 // when phase 1 ends

	raft             raft.Config
	segmentBytes     int64
	markIdle         bool // mark the log as idle after a pause
	readTimeoutTicks int
	batching         int // share of inputs that wait for others before the Flush
	batchDelay       int64

	delayMin, delayMean int64
	loss, duplicate     int
	oldest              int64 // how late a repeated packet may come
	holdReplies         bool
	clog                int
	clogMean            int64
	callDeadline        int64
	refuses             bool // a server that is down refuses connections
	parkEvery           int64
	partitionEvery      int64
	partitionMean       int64

	crashEvery      int64 // of any server
	downMean        int64
	stops           int // share of crashes that are orderly stops instead
	crashAtEdge     int
	crashInRecovery int
	allCrashEvery   int64

	saverDelay        int64
	diskMin, diskMean int64
	slowDisk          int // place of a server with a disk ten times slower, or nowhere
	diskFailEvery     int64
	clockSkew         bool
	pauseEvery        int64
	pauseMean         int64

	snapshotBytes int
	chunkBytes    int   // of a snapshot in one message
	filesMean     int64 // between some operations on a snapshot's file
	fileFaults    int   // share of those in which one fails
	fileCuts      int   // share of those in which the power goes
	damage        int   // share of chunks with a flipped bit

	changeEvery int64 // the operator has an idea
	spares      int   // servers that can be replaced

	clients, keys          int
	think, clientTimeout   int64
	readShare, removeShare int

	extremes
}

// drawProfile draws what a run is like from its seed. What came later is drawn from more, so
// that everything else is as it was without it.
func drawProfile(r, more chance, nodes int) profile {
	p := profile{faultTime: r.between(4, 15) * second, slowDisk: nowhere}
	p.nodes = [...]int{1, 2, 3, 3, 3, 3, 4, 5, 5, 5}[r.IntN(10)]
	p.sevenServers(more)
	if nodes > 0 {
		p.nodes = nodes
	}
	p.growth = [...]growth{grown, grown, growsCalmly, growsInFire}[r.IntN(4)]
	p.drawServer(r)
	p.drawNetwork(r)
	p.drawCrashes(r)
	p.drawDisk(r)
	p.drawWork(r)
	p.drawSnapshots(r)
	p.drawOperator(r)
	if r.IntN(3) == 0 {
		p.drawStorm(r)
	}
	if nodes > 0 {
		p.nodes, p.founders = nodes, min(p.founders, nodes) // also if the storm has other wishes
	}
	p.drawFounders(r)
	p.drawExtremes(more)
	if nodes == 0 {
		p.drawPromotions(more)
	}
	return p
}

// drawFounders lets a cluster grow from one server, as users do, or from several:
// then two leaders can be about to make different changes.
func (p *profile) drawFounders(r chance) {
	switch {
	case p.growth == grown:
		p.founders = p.nodes
	case p.founders == 0 && r.IntN(3) == 0:
		p.founders = 1 + r.IntN(p.nodes)
	case p.founders == 0:
		p.founders = 1
	}
}

// electionTicks is the smallest election timeout of all runs; the longest timeout is
// twice that. A time in faults that "spans elections" is meant against it.
const electionTicks = 15

func (p *profile) drawServer(r chance) {
	p.raft = raft.Config{ElectionTicks: electionTicks, HeartbeatTicks: 5}
	p.raft.MaxInflight = [...]int{1, 2, 4, 16}[r.IntN(4)]
	p.raft.MaxBatchBytes = [...]int{1, 64, 512, 1 << 20}[r.IntN(4)]
	p.raft.MaxUncommittedBytes = [...]int{256, 1 << 20, 1 << 20}[r.IntN(3)]
	p.raft.NoPreVote = r.IntN(5) == 0
	p.raft.NoCheckQuorum = r.IntN(8) == 0
	p.readTimeoutTicks = [...]int{20, 200}[r.IntN(2)]
	p.segmentBytes = [...]int64{1 << 10, 2 << 10, 8 << 10, 64 << 10}[r.IntN(4)]
	p.markIdle = r.IntN(2) == 0
	if r.IntN(2) == 0 {
		p.batching, p.batchDelay = int(r.between(100, 900)), r.between(1, 10)*millisecond
	}
	if r.IntN(2) == 0 {
		p.clockSkew = true
	}
	if r.IntN(4) == 0 {
		p.pauseEvery, p.pauseMean = r.between(500, 5000)*millisecond, r.between(20, 600)*millisecond
	}
}

func (p *profile) drawNetwork(r chance) {
	p.delayMin, p.delayMean = 200, 500
	if r.IntN(2) == 0 {
		p.delayMin, p.delayMean = r.between(0, 15)*millisecond, r.between(1, 40)*millisecond
	}
	if r.IntN(2) == 0 {
		p.loss = int(r.between(1, 300))
	}
	if r.IntN(2) == 0 {
		p.duplicate = int(r.between(1, 300))
		p.oldest = [...]int64{20, 300, 20 * electionTicks * 10}[r.IntN(3)] * millisecond
	}
	p.holdReplies = r.IntN(8) == 0
	if r.IntN(4) == 0 {
		p.clog, p.clogMean = int(r.between(1, 10)), r.between(10, 2000)*millisecond
	}
	p.callDeadline = [...]int64{60, 200, 500, 3000}[r.IntN(4)] * millisecond
	p.refuses = r.IntN(2) == 0
	if r.IntN(4) == 0 {
		p.parkEvery = r.between(300, 3000) * millisecond
	}
	if r.IntN(2) == 0 {
		p.partitionEvery, p.partitionMean = r.between(300, 4000)*millisecond, r.between(100, 2000)*millisecond
	}
}

func (p *profile) drawCrashes(r chance) {
	p.downMean = r.between(1, 1500) * millisecond
	if r.IntN(2) == 0 {
		p.crashEvery = r.between(300, 5000) * millisecond
		p.stops = int(r.between(0, 300))
	}
	if r.IntN(4) == 0 {
		p.crashAtEdge = int(r.between(1, 6))
	}
	if r.IntN(2) == 0 {
		p.crashInRecovery = int(r.between(50, 500))
	}
	if r.IntN(4) == 0 {
		p.allCrashEvery = r.between(1, 8) * second
	}
}

func (p *profile) drawDisk(r chance) {
	p.saverDelay = [...]int64{0, 50, 5000}[r.IntN(3)]
	p.diskMin, p.diskMean = 100, 300
	if r.IntN(2) == 0 {
		p.diskMin, p.diskMean = r.between(0, 10)*millisecond, r.between(1, 60)*millisecond
	}
	if r.IntN(5) == 0 {
		p.slowDisk = r.IntN(p.nodes)
	}
	if r.IntN(4) == 0 {
		p.diskFailEvery = r.between(1, 6) * second
	}
}

// noSnapshots is more than the log of any run.
const noSnapshots = 1 << 30

// drawSnapshots has snapshots all the time, now and then or never.
func (p *profile) drawSnapshots(r chance) {
	p.snapshotBytes = [...]int{1, 1, 200, 1000, noSnapshots}[r.IntN(5)]
	p.raft.TrailingBytes = [...]int{-1, -1, 100, 500, 4 << 20}[r.IntN(5)]
	p.chunkBytes = [...]int{64, 256, raft.MaxChunkBytes}[r.IntN(3)]
	p.filesMean = [...]int64{100, 1000, 30 * millisecond}[r.IntN(3)]
	if r.IntN(4) == 0 {
		p.fileFaults = int(r.between(10, 200))
	}
	if r.IntN(4) == 0 {
		p.fileCuts = int(r.between(10, 150))
	}
	if r.IntN(6) == 0 {
		p.damage = int(r.between(5, 100))
	}
}

func (p *profile) drawOperator(r chance) {
	if r.IntN(3) == 0 {
		p.changeEvery, p.spares = r.between(200, 3000)*millisecond, r.IntN(3)
	}
}

func (p *profile) drawWork(r chance) {
	p.clients = int(r.between(1, 12))
	p.keys = int(r.between(1, 5))
	// At most 10 to 200 operations in a second of virtual time, all clients together.
	p.think = int64(p.clients) * r.between(5, 100) * millisecond
	p.clientTimeout = [...]int64{200, 1000, 5000}[r.IntN(3)] * millisecond
	p.readShare = int(r.between(100, 800))
	p.removeShare = int(r.between(0, 80))
}

// soothe ends everything that a fault could be.
func (p *profile) soothe() {
	p.batching = 0
	p.saverDelay, p.diskMin, p.diskMean, p.slowDisk = 50, 100, 200, nowhere
	p.crashAtEdge, p.crashInRecovery = 0, 0
	p.branches = branches{}
	p.filesMean = 200
	p.callDeadline = 200 * millisecond
	p.refuses = true
}

func (p *profile) String() string {
	s := fmt.Sprintf("%d nodes", p.nodes)
	if p.growth != grown {
		s += fmt.Sprintf("%s from %d", [...]string{"", ", grown calmly", ", grown in fire"}[p.growth], p.founders)
	}
	if p.storm != noStorm {
		s += ", storm of " + p.storm.String()
	}
	for _, f := range []struct {
		on   bool
		text string
	}{
		{p.raft.NoPreVote, "no pre-vote"},
		{p.raft.NoCheckQuorum, "no quorum check"},
		{p.batching > 0, fmt.Sprintf("batches of %d ms", p.batchDelay/millisecond)},
		{p.delayMean > millisecond, fmt.Sprintf("delay %d+%d ms", p.delayMin/millisecond, p.delayMean/millisecond)},
		{p.loss > 0, fmt.Sprintf("loss %d‰", p.loss)},
		{p.duplicate > 0, fmt.Sprintf("duplicates %d‰ up to %d ms late", p.duplicate, p.oldest/millisecond)},
		{p.holdReplies, "late replies"},
		{p.clog > 0, "clogs"},
		{p.parkEvery > 0, "parked links"},
		{p.partitionEvery > 0, "partitions"},
		{p.crashEvery > 0, fmt.Sprintf("a crash in %d ms", p.crashEvery/millisecond)},
		{p.crashAtEdge > 0, fmt.Sprintf("crashes at edges %d‰", p.crashAtEdge)},
		{p.crashInRecovery > 0, "crashes in recovery"},
		{p.allCrashEvery > 0, "crashes of all"},
		{p.diskMean > millisecond, fmt.Sprintf("disk %d+%d ms", p.diskMin/millisecond, p.diskMean/millisecond)},
		{p.slowDisk != nowhere, "one slow disk"},
		{p.diskFailEvery > 0, "disk errors"},
		{p.snapshotBytes < noSnapshots, fmt.Sprintf("snapshots every %d bytes in chunks of %d, %d bytes trailing", p.snapshotBytes, p.chunkBytes, p.raft.TrailingBytes)},
		{p.fileFaults > 0, fmt.Sprintf("file errors %d‰", p.fileFaults)},
		{p.fileCuts > 0, fmt.Sprintf("power cuts in files %d‰", p.fileCuts)},
		{p.damage > 0, fmt.Sprintf("damaged chunks %d‰", p.damage)},
		{p.changeEvery > 0, fmt.Sprintf("a change of members in %d ms, %d spares", p.changeEvery/millisecond, p.spares)},
		{p.clockSkew, "clock skew"},
		{p.pauseEvery > 0, "pauses"},
	} {
		if f.on {
			s += ", " + f.text
		}
	}
	return s + p.extremes.String()
}
