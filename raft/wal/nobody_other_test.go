//go:build !linux

package wal_test

import (
	"os"
	"testing"
)

func asNobody(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
}
