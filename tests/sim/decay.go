package sim

import (
	"errors"
	"slices"
	"syscall"

	"dbdb/raft/wal"
)

// What disks do to the bytes of servers that are down: bits flip, writes went to another
// place, syncs lied, and copies were mixed (copies.go). A server that starts then gives back
// exactly what it must, or refuses to start and names the file and the offset. There is
// nothing else that it can do alone (Alagappan et al., Protocol-Aware Recovery, FAST '18);
// the operator removes it and puts a new server in its place.

// decay damages the disk of one server, which crashes first if it is up.
func (w *world) decay() {
	n := w.anyNode()
	if w.decays >= w.profile.decays || !w.mayDecay(n) {
		return
	}
	if n.up {
		n.crash(edgeAny)
	}
	// What was written and not synced is lost or kept now: evidence that a later power cut
	// could take away would be none.
	n.disk.Crash([...]CrashPolicy{LoseUnsynced, KeepAll}[w.rare.IntN(2)])
	if hit := w.damage(n); len(hit) > 0 {
		w.decays++
		n.damaged = hit
	}
}

// mayDecay keeps the damage to a minority: less than half of the voters, and none where
// fewer than three are. So of each majority that acknowledged something one server has
// it, and a majority is left to go on without those that refuse to start. Servers that are
// about to become members cannot spoil that, as they are sound; and in such runs the operator
// removes nobody but who refuses.
func (w *world) mayDecay(n *node) bool {
	confs := w.check.configurations
	if len(confs) == 0 {
		return false
	}
	c := confs[len(confs)-1]
	bad := 0
	for _, o := range w.nodes {
		if o.damaged != nil && c.IsVoter(o.id) {
			bad++
		}
	}
	return n.damaged == nil && !n.gone && n.wanted && c.IsVoter(n.id) && c.Voters() >= 3 && bad < (c.Voters()+1)/2-1
}

// damage changes some bytes of the log or of a snapshot, and says in which files.
//
// A sound log is not changed beyond recognition by that, but for one place: the newest
// frame, when neither another frame nor a mark follows it. Damaged, it looks like a torn
// write that nobody was told of, and no reader can tell them apart without a second sync
// per write (see DESIGN.md). So that one is left alone; and where a mark proves the
// newest frame, whatever changes more than a byte leaves both alone.
func (w *world) damage(n *node) []string {
	newest, saves := n.newestFrames()
	if w.profile.copies && len(n.logFiles()) > 0 && w.rare.IntN(2) == 0 {
		return w.mixCopies(n, newest, saves)
	}
	names := append(n.logFiles(), n.snapshotFiles()...)
	if snapshots := n.snapshotFiles(); len(snapshots) > 0 && w.rare.IntN(3) == 0 {
		names = snapshots
	}
	if len(names) == 0 {
		return nil
	}
	name := names[w.rare.IntN(len(names))]
	if _, used := n.used(name); used == 0 {
		return nil // it was being made
	}
	switch w.rare.IntN(3) {
	case 0:
		return w.flip(n, name, newest, saves)
	case 1:
		return w.loseSectors(n, name, newest, saves)
	default:
		return w.misdirect(n, name, names, newest, saves)
	}
}

// used is the part of a file that is not just zeros, so that damage hits something.
func (n *node) used(name string) (data []byte, used int64) {
	data, err := n.disk.ReadFile(name)
	if err != nil {
		violate("Simulation", "%v", err)
	}
	used = int64(len(data))
	for used > 0 && data[used-1] == 0 {
		used--
	}
	return data, used
}

// flip turns one bit over.
func (w *world) flip(n *node, name string, newest, saves extent) []string {
	_, used := n.used(name)
	at := w.rare.Int64N(used)
	if newest == saves && (extent{name, at, at + 1}).meets(newest) {
		return nil
	}
	w.marks.hit(markFlip)
	n.disk.Corrupt(name, at, byte(1<<w.rare.IntN(8)))
	w.note(decayed, n, 1, uint64(at), checksum([]byte(name)), 0)
	return []string{name}
}

// sectors draws one to four sectors of the used part of a file that are not to be spared.
func (w *world) sectors(n *node, name string, spared ...extent) (e extent, data []byte, ok bool) {
	data, used := n.used(name)
	from := w.rare.Int64N(used) / sectorBytes * sectorBytes
	e = extent{name, from, min(int64(len(data)), from+sectorBytes*w.rare.between(1, 4))}
	return e, data[e.from:e.to], !slices.ContainsFunc(spared, e.meets)
}

// loseSectors makes a few sectors what they were before they were written: a sync said
// that they are on the disk, and they never got there.
func (w *world) loseSectors(n *node, name string, newest, saves extent) []string {
	e, _, ok := w.sectors(n, name, newest, saves)
	if !ok {
		return nil
	}
	w.marks.hit(markLostWrite)
	n.disk.overwrite(e, make([]byte, e.to-e.from))
	w.note(decayed, n, 2, uint64(e.from), checksum([]byte(name)), uint64(e.to))
	return []string{name}
}

// misdirect puts a few sectors into another place, of the same file or of another one.
// Their own place keeps them if they were written once more, and is else as before.
func (w *world) misdirect(n *node, name string, names []string, newest, saves extent) []string {
	from, data, ok := w.sectors(n, name, newest, saves)
	target := names[w.rare.IntN(len(names))]
	if _, used := n.used(target); used == 0 || !ok {
		return nil
	}
	to, _, fits := w.sectors(n, target, newest, saves, from)
	if !fits {
		return nil
	}
	w.marks.hit(markMisdirected)
	data = slices.Clone(data)
	to.to = min(to.to, to.from+int64(len(data)))
	n.disk.overwrite(to, data)
	w.note(decayed, n, 3, uint64(to.from), checksum([]byte(to.file)), uint64(to.to))
	if w.rare.IntN(2) == 0 {
		return []string{to.file}
	}
	n.disk.overwrite(from, make([]byte, from.to-from.from))
	return []string{to.file, name}
}

// cannotStart judges why a server does not start.
func (n *node) cannotStart(err error, before uint64) {
	var found *wal.CorruptError
	w := n.w
	switch {
	case errors.As(err, &found) && n.damaged != nil:
		n.refuses(found, before)
	case errors.Is(err, errDisk):
		w.marks.hit(markReadError)
		n.tryAgain()
	case errors.Is(err, syscall.ENOSPC) && n.disk.full != hasRoom:
		w.marks.hit(markNoRoomToStart)
		n.tryAgain()
	default:
		violate("Recovery", "n%d does not start from what its disk holds: %v", n.place+1, err)
	}
}

// tryAgain ends the process, which somebody will start again.
func (n *node) tryAgain() {
	n.disk.Crash(KillProcess)
	n.planRestart()
}

// refuses: a server whose disk was damaged ends, names the damage where it is, and has
// changed nothing. It never comes back.
func (n *node) refuses(found *wal.CorruptError, before uint64) {
	w := n.w
	if data, err := n.disk.ReadFile(found.File); err != nil || !slices.Contains(n.damaged, found.File) || found.Offset < 0 || found.Offset > int64(len(data)) {
		violate("Damage is named", "n%d says %v; what was damaged is in %v", n.place+1, found, n.damaged)
	}
	if before != n.disk.fingerprint() {
		violate("Damage is left as it is", "n%d says %v, and has changed its files", n.place+1, found)
	}
	w.marks.hit(markRefused)
	w.note(refusedToStart, n, uint64(found.Offset), checksum([]byte(found.File)), 0, 0)
	n.disk.Crash(KillProcess)
	n.isLost()
}

// isLost: a server never comes back, and the operator puts another one in its place.
func (n *node) isLost() {
	n.life++ // no restart is planned that would count
	n.broken, n.wanted, n.replaced = true, false, true
	n.w.beginTending()
}

// exchangeBroken puts new servers in the place of those that were damaged and are no
// members any more.
func (w *world) exchangeBroken() {
	for _, n := range w.nodes {
		if n.broken && !n.gone && !w.check.isMember(n.id) {
			w.marks.hit(markExchanged)
			w.wipe(n)
		}
	}
}

// fingerprint of a server's files, if it will be asked for.
func (n *node) fingerprint() uint64 {
	if n.damaged == nil {
		return 0
	}
	return n.disk.fingerprint()
}

// sound notes that all of a server's files were read and verified: what may have been
// damaged was of no importance.
func (n *node) sound() {
	if n.damaged != nil {
		n.w.marks.hit(markHarmless)
	}
	n.damaged = nil
}

// armRead lets one of the first reads of a starting server fail, sometimes.
func (n *node) armRead() {
	if w := n.w; !w.calm && w.profile.readErrors > 0 && w.rare.perMille(w.profile.readErrors) {
		n.disk.FailLater(OpRead, w.rare.IntN(12), errDisk)
	}
}

// fill leaves no room on a disk, for a while.
func (w *world) fill() {
	n := w.anyNode()
	if n.gone || n.disk.full != hasRoom {
		return
	}
	w.marks.hit(markDiskFull)
	n.disk.full = nothingGrows + fullness(w.rare.IntN(2))
	w.note(decayed, n, 4, uint64(n.disk.full), 0, 0)
	w.at(w.rare.exponential(w.profile.fullMean), func() { n.disk.full = hasRoom })
}

// slowDown makes a disk slow, for a while.
func (w *world) slowDown() {
	n := w.anyNode()
	w.marks.hit(markDiskSlow)
	n.slowUntil = w.now + w.rare.between(100, 3000)*millisecond
	w.note(decayed, n, 5, uint64(n.slowUntil), 0, 0)
}
