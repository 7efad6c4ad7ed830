package sim

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// mixCopies puts a frame of another copy of the log into the place of one of its own. Two
// copies of a data directory, or of a disk, that have both gone on have frames of one number,
// each sound, and written after the same frame; a backup or a mirror may put them together.
// The other copy has been given another command of the same size, so that the frames
// after it stand where they should: that one of them was written after another frame than it
// follows is all that tells.
func (w *world) mixCopies(n *node, newest, saves extent) []string {
	names := n.logFiles()
	name := names[w.rare.IntN(len(names))]
	data, _ := n.used(name)
	frames := slices.DeleteFunc(framesIn(name, data), func(f extent) bool {
		return f.meets(newest) || f.meets(saves) || data[f.from+frameHeadBytes] != frameOfSaves || !endsInEntry(data[f.from:f.to])
	})
	if len(frames) == 0 {
		return nil
	}
	f := frames[w.rare.IntN(len(frames))]
	frame := slices.Clone(data[f.from:f.to])
	frame[len(frame)-1] ^= 1
	seal(frame, saltOf(data))
	w.marks.hit(markCopiesMixed)
	n.disk.overwrite(f, frame)
	w.note(decayed, n, 6, uint64(f.from), checksum([]byte(name)), uint64(f.to))
	return []string{name}
}

// endsInEntry says that a frame of Saves ends in an entry's data: without any, its last byte
// counts them, or the bytes of the last one, and is zero.
func endsInEntry(frame []byte) bool { return frame[len(frame)-1] != 0 }

// seal computes the checksums of a frame, of which number and predecessor stay.
func seal(frame []byte, salt uint32) {
	binary.LittleEndian.PutUint32(frame[4:], crc32.Update(salt, castagnoli, frame[frameHeadBytes:]))
	binary.LittleEndian.PutUint32(frame[frameHeadBytes-4:], crc32.Update(salt, castagnoli, frame[:frameHeadBytes-4]))
}
