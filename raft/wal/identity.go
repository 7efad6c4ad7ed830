package wal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"

	"dbdb/raft"
)

const (
	identityName    = "identity.json"
	identityTmpName = "identity.json.tmp"
	identityFormat  = 1
	// maxIdentityBytes bounds what is read: a real one has some 200 bytes.
	maxIdentityBytes = 64 << 10
)

// Identity says whose data a directory holds.
type Identity struct {
	Node     string // the operator's name for the node
	Instance string // 8 random hex digits, for ever: a wiped node gets others
	Cluster  string // the cluster's id, empty until the node belongs to one
	Founding bool   // this node started the cluster and may still have to write its first entry
}

// NodeID is the server's name in the protocol: node and instance.
func (i Identity) NodeID() raft.NodeID { return raft.NewNodeID(i.Node, i.Instance) }

// identityFile is what identity.json holds. The checksum is over the same bytes
// with an empty checksum.
type identityFile struct {
	Format   int    `json:"format"`
	Node     string `json:"node"`
	Instance string `json:"instance"`
	Cluster  string `json:"cluster"`
	Founding bool   `json:"founding"`
	Checksum string `json:"crc32c"`
}

func (i Identity) encode() ([]byte, error) {
	file := identityFile{Format: identityFormat, Node: i.Node, Instance: i.Instance, Cluster: i.Cluster, Founding: i.Founding}
	b, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return nil, err
	}
	file.Checksum = fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli))
	b, err = json.MarshalIndent(file, "", "  ")
	return append(b, '\n'), err
}

// decodeIdentity reads what encode wrote, to the byte.
func decodeIdentity(name string, b []byte) (Identity, error) {
	var version struct {
		Format uint64 `json:"format"`
	}
	if err := json.Unmarshal(b, &version); err != nil || version.Format == 0 {
		return Identity{}, &CorruptError{name, 0, "this is not an identity file"}
	}
	if version.Format != identityFormat {
		return Identity{}, &FormatError{name, version.Format}
	}
	var file identityFile
	if err := json.Unmarshal(b, &file); err != nil {
		return Identity{}, &CorruptError{name, 0, err.Error()}
	}
	i := Identity{Node: file.Node, Instance: file.Instance, Cluster: file.Cluster, Founding: file.Founding}
	if again, err := i.encode(); err != nil || !bytes.Equal(again, b) {
		return Identity{}, &CorruptError{name, 0, "the checksum or the form of the file is wrong"}
	}
	return i, nil
}

// readIdentity is fs.ErrNotExist if there is none.
func readIdentity(fsys FS, dir string) (_ Identity, err error) {
	name := path.Join(dir, identityName)
	f, err := fsys.Open(name)
	if err != nil {
		return Identity{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return Identity{}, err
	}
	if size > maxIdentityBytes {
		return Identity{}, &CorruptError{name, 0, fmt.Sprintf("an identity file does not have %d bytes", size)}
	}
	b := make([]byte, size)
	if err := readAt(f, b, 0); err != nil {
		return Identity{}, err
	}
	return decodeIdentity(name, b)
}

// writeIdentity replaces the identity atomically: a reader finds the old one or
// the new one, and once this returns the new one.
func writeIdentity(fsys FS, dir string, i Identity) error {
	b, err := i.encode()
	if err != nil {
		return err
	}
	tmp := path.Join(dir, identityTmpName)
	if err := removeIfThere(fsys, tmp); err != nil {
		return err
	}
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	err = writeAt(f, b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, path.Join(dir, identityName)); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// newInstance draws the random part of a NodeID.
func newInstance(random io.Reader) (string, error) {
	var b [4]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("random instance id: %w", err)
	}
	return fmt.Sprintf("%x", b), nil
}
