// Package wal keeps the persistent state of Figure 2 (currentTerm, votedFor and
// log[]) in files: a write-ahead log, and the identity of the server that owns
// the data directory.
//
//	<data directory>/LOCK             held with flock while a process uses it
//	<data directory>/identity.json    node, instance, cluster
//	<data directory>/wal/0000000000000001.wal   segments, in order
//
// A segment has its final size from the start. Its first 512 bytes are the
// header; frames follow without a gap; zeros fill the rest. One call of
// Log.Write is one frame, one write and, with Log.Sync, one fdatasync. All numbers
// are little-endian, all checksums CRC32C.
//
// The question this format answers is what a bad frame means. Frames are written
// one at a time: the next is written only after the one before it was synced. So
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
// # Caveats
//
//   - A flipped bit in the newest frame looks like a torn write until evidence
//     follows it: the next Write, or MarkIdle.
//   - A sector that is being rewritten when the power goes must keep its old or its
//     new contents ("powersafe overwrite"). Frames share sectors.
//   - A Log and a Dir are not safe for concurrent use. They start no goroutines.
//   - After an error of Write, Sync or MarkIdle the log is over: every later call
//     returns the same error. A retried fsync reports success for bytes it lost.
package wal
