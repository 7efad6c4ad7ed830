package sim

import (
	"slices"

	"dbdb/raft"
	"dbdb/tests/spec"
)

// saver is the replica's Disk, as package node runs it: Saves queue up while one
// write is on its way, and the next write takes all of them. Write and sync are two
// events, so that a crash can fall between them.
type saver struct {
	n     *node
	queue []pendingSave
	batch []pendingSave // written or about to be, not synced
	notes []pendingSave // synced, and the replica was not told yet
	busy  bool
	round int // counts the syncs, so that one that is hurried does not happen twice
}

type pendingSave struct {
	save raft.Save
	done func(error)
}

// Save implements replica.Disk.
func (s *saver) Save(save raft.Save, done func(error)) {
	if s.n.w.played() {
		s.n.w.stage.saves(s.n, save)
	}
	s.n.held.saves(save)
	s.n.w.check.handedOut(s.n, save)
	s.queue = append(s.queue, pendingSave{save, done})
	if len(s.batch) > 0 {
		s.n.w.marks.hit(markSavesQueued)
	}
	s.next()
}

// next plans the write of all queued Saves, unless one is on its way.
func (s *saver) next() {
	if s.busy || len(s.queue) == 0 || s.n.slowLog {
		return
	}
	s.busy = true
	w := s.n.w
	w.inLife(w.disks.between(0, w.profile.saverDelay), s.n, s.write)
}

// operationsOfSwitch is about how many a snapshot needs to come into force, with what it
// makes superfluous.
const operationsOfSwitch = 14

func (s *saver) write() {
	w := s.n.w
	s.batch, s.queue = s.queue, nil
	if len(s.batch) > 1 {
		w.marks.hit(markGroupCommit)
	}
	saves := make([]raft.Save, len(s.batch))
	for k, p := range s.batch {
		saves[k] = p.save
	}
	w.recorder.write("write n%d", s.n.place+1)
	w.note(written, s.n, saves[0].Seq, saves[len(saves)-1].Seq, uint64(s.n.lasting.durable.last()), 0)
	switches := slices.ContainsFunc(saves, func(s raft.Save) bool { return s.Snapshot.Index > 0 })
	if switches {
		s.n.armCut(3*w.profile.fileCuts, operationsOfSwitch)
	}
	segments := s.n.segments()
	err := s.n.dir.Log().Write(saves...)
	if s.n.powerWent(edgeSwitch) {
		w.marks.hit(markCutInSwitch)
		return
	}
	if err != nil {
		s.fail(err)
		return
	}
	if switches && s.n.segments() < segments {
		w.marks.hit(markSegmentsRemoved)
	}
	s.planSync()
	if w.faults.perMille(w.profile.crashAtEdge) {
		s.n.crash(edgeWritten)
	}
}

// planSync plans the sync of the batch that was written. A second plan overtakes
// the first, when calm comes and disks are fast again.
func (s *saver) planSync() {
	if s.n.slowLog {
		return
	}
	round := s.round
	s.n.w.inLife(s.n.diskLatency(), s.n, func() {
		if round == s.round {
			s.round++
			s.sync()
		}
	})
}

func (s *saver) sync() {
	w := s.n.w
	if err := s.n.dir.Log().Sync(); err != nil {
		s.fail(err)
		return
	}
	w.recorder.write("sync n%d", s.n.place+1)
	batch := s.batch
	s.batch, s.busy = nil, false
	for _, p := range batch {
		w.check.durable(s.n, p.save)
	}
	w.note(synced, s.n, batch[len(batch)-1].save.Seq, uint64(s.n.lasting.durable.last()), uint64(s.n.lasting.durable.term), 0)
	if w.faults.perMille(w.profile.crashAtEdge) {
		s.n.crash(edgeSynced)
		return
	}
	if !s.told(batch) {
		return
	}
	s.next()
	if !s.busy && w.profile.markIdle {
		w.inLife(100*millisecond, s.n, s.markIdle)
	}
}

// markIdle proves to a later recovery that the newest frame was synced.
func (s *saver) markIdle() {
	if s.busy {
		return
	}
	if err := s.n.dir.Log().MarkIdle(); err != nil {
		s.n.w.check.logFails(s.n, err)
		s.n.failed = err
		s.n.survive()
	}
}

// fail tells the replica that its disk is gone. The process ends: after a failed
// sync nobody can say what the disk holds.
func (s *saver) fail(err error) {
	s.n.w.check.logFails(s.n, err)
	s.n.w.marks.hit(markDiskFailed)
	batch := s.batch
	s.n.input(spec.Other{What: "the disk fails"}, func() { batch[0].done(err) })
	if s.n.up {
		violate("Disk failure ends the process", "n%d lives on after %v", s.n.place+1, err)
	}
}
