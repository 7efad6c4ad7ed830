// Package wal keeps the persistent state of Figure 2 (currentTerm, votedFor and
// log[]) and the snapshots of §7 in files: a write-ahead log, snapshot files, and the
// identity of the server that owns the data directory.
//
//	<data directory>/LOCK             held with flock while a process uses it
//	<data directory>/identity.json    node, instance, cluster
//	<data directory>/wal/0000000000000001.wal   segments, in order
//	<data directory>/snapshots/<index>-<term>.snapshot   the one in force
//
// A segment has its final size from the start. Its first 512 bytes are the
// header; frames follow without a gap; zeros fill the rest. One call of
// Log.Write is one frame, one write and, with Log.Sync, one fdatasync. All numbers
// are little-endian, all checksums CRC32C.
//
// # What a bad frame means
//
// Frames are written one at a time: the next only after the one before it was synced. So
// a bad frame with nothing after it is a torn write, which nobody was told of: it
// is zeroed and the log goes on. A bad frame with evidence after it that its sync
// completed is damage: acknowledged entries may be gone and the server must not
// start (*CorruptError). Evidence is a later frame, whose header verifies itself, or the
// next segment, whose header names the last frame before it. Log.MarkIdle
// writes such evidence when traffic pauses.
//
// Three things make a log that has lost its end visible: a segment is complete before it
// gets its name, so one of another size was cut; each segment ends in a frame that says
// that the next one exists, so it cannot vanish; and frames are chained by number
// and checksum, so none can be replaced or left out.
//
// # Which snapshot is in force
//
// A snapshot is written as own.tmp, or arrives from a leader as received.tmp. When it is
// complete and synced it is renamed to <index>-<term>.complete, and nothing depends on it
// yet. The Save that names it brings it into force, in steps that each wait for the disk:
// what the snapshot covers is synced and marked as in MarkIdle; the file gets its final
// name; a record in the log names it, and says whether the log went with it; the snapshot
// before it and the segments below KeepFrom are removed, the oldest first. So recovery
// finds one of these, and nothing else:
//
//   - The newest file is the newest one recorded. It is in force.
//   - The newest file is newer than the newest record: a crash came between the two. It is
//     in force, and recovery writes the record. If the log does not hold its last entry it
//     was a leader's, and the log goes: the server's own was published after its
//     entries were marked, so had they been lost, that would have been seen.
//   - The first segments are missing, and a record names a snapshot that covers them: they
//     were removed. The header of the first one that remains says what they said: currentTerm,
//     votedFor, the end of the log, the snapshot in force.
//
// All else is damage: a record without its file, even if a newer file is there; a snapshot
// of a term that currentTerm has not reached; missing segments that no recorded snapshot
// covers, as they went only after the record was synced; a hole between segments. A snapshot
// that is lost or damaged is never taken for "no data". Its blocks are verified by
// Snapshots.Load, its header when the directory is opened.
//
// # Caveats
//
//   - A flipped bit in the newest frame looks like a torn write until evidence
//     follows it: the next Write, or MarkIdle.
//   - A sector that is being rewritten when the power goes must keep its old or its
//     new contents ("powersafe overwrite"). Frames share sectors.
//   - A segment that only held what the snapshot covers may vanish from the beginning of the
//     log unseen. Nothing is lost by it.
//   - A snapshot that was replaced is removed while it may still be on its way to a
//     follower, whose transfer then begins again with the new one.
//   - A Log and a Dir are not safe for concurrent use. They start no goroutines. Snapshots
//     may be used while another goroutine writes the log, but for Dir.Close; see there.
//   - After an error of Write, Sync or MarkIdle the log is over: every later call
//     returns the same error. A retried fsync reports success for bytes it lost.
package wal
