package wal

import (
	"errors"

	"golang.org/x/sys/unix"
)

// reserve takes the space for size bytes. File systems that cannot are not an
// error: the zeros that follow take it.
func (f osFile) reserve(size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil
		}
		return err
	}
}

// datasync is fdatasync: contents and size, but not the times, which would cost
// a journal commit per record.
func (f osFile) datasync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
