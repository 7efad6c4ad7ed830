package sim

import (
	"encoding/binary"
	"hash/crc32"
	"path"
	"strings"
)

// extent is a part of a file.
type extent struct {
	file     string
	from, to int64
}

func (e extent) meets(o extent) bool { return e.file == o.file && e.from < o.to && o.from < e.to }

// What the simulator knows of a segment's layout, to damage it with care; see raft/wal.
const (
	segmentHeaderBytes = 512
	segmentSaltAt      = 32
	frameHeadBytes     = 24
	frameOfSaves       = 1 // the first byte of such a frame's payload
)

// logFiles and snapshotFiles list what a server keeps, oldest first.
func (n *node) logFiles() []string { return n.filesIn("wal", ".wal") }

func (n *node) snapshotFiles() []string { return n.filesIn("snapshots", ".snapshot") }

func (n *node) filesIn(dir, suffix string) []string {
	var names []string
	for _, name := range n.disk.Files() {
		if path.Dir(name) == path.Join(dataDir, dir) && strings.HasSuffix(name, suffix) {
			names = append(names, name)
		}
	}
	return names
}

// newestFrames finds the newest frame of the log, and the newest frame of Saves, which is
// the same one unless a mark follows it. An empty extent is none: the frames of older
// segments are proved by the header of the next.
func (n *node) newestFrames() (newest, saves extent) {
	names := n.logFiles()
	if len(names) == 0 {
		return extent{}, extent{}
	}
	name := names[len(names)-1]
	b, err := n.disk.ReadFile(name)
	if err != nil {
		return extent{}, extent{}
	}
	for _, f := range framesIn(name, b) {
		if newest = f; b[f.from+frameHeadBytes] == frameOfSaves {
			saves = f
		}
	}
	return newest, saves
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// saltOf is what the checksums of a segment begin with.
func saltOf(segment []byte) uint32 {
	return crc32.Checksum(segment[segmentSaltAt:segmentSaltAt+8], castagnoli)
}

// framesIn lists the frames of a segment.
func framesIn(name string, b []byte) (frames []extent) {
	if len(b) < segmentHeaderBytes {
		return nil
	}
	salt := saltOf(b)
	for at := segmentHeaderBytes; at+frameHeadBytes < len(b); {
		head := b[at : at+frameHeadBytes]
		length := int(binary.LittleEndian.Uint32(head))
		if length == 0 || at+frameHeadBytes+length > len(b) || crc32.Update(salt, castagnoli, head[:20]) != binary.LittleEndian.Uint32(head[20:]) {
			break
		}
		end := at + frameHeadBytes + length
		frames = append(frames, extent{name, int64(at), int64(end)})
		at = end
	}
	return frames
}
