//go:build unix && !linux

package wal

// reserve does nothing: the zeros that follow take the space.
func (f osFile) reserve(int64) error { return nil }

// datasync is the full fsync, which on macOS also empties the drive's cache.
func (f osFile) datasync() error { return f.File.Sync() }
