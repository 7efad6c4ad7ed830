package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// written is a key with two acknowledged writes and a third that is under way.
func written(t *testing.T) *keys {
	ks := newKeys(2, 40)
	for want := uint32(1); want <= 3; want++ {
		_, number := ks.issue(1)
		require.Equal(t, want, number)
		if number < 3 {
			ks.acknowledged(1, number)
		}
	}
	return ks
}

func what(err error) string {
	if w, ok := err.(*wrongAnswer); ok {
		return w.what
	}
	return ""
}

func TestAnAnswerMayBeTheLastAcknowledgedWriteOrANewerOne(t *testing.T) {
	ks := written(t)
	for number, wrong := range map[uint32]string{1: "stale", 2: "", 3: "", 4: "corrupt"} {
		err := ks.judge(1, ks.value(1, number), true, ks.atLeast(1), ks.atMost(1))
		assert.Equal(t, wrong, what(err), "write %d", number)
	}
}

func TestAnAcknowledgedWriteThatIsNotThereIsLost(t *testing.T) {
	ks := written(t)
	assert.Equal(t, "lost", what(ks.judge(1, "", false, ks.atLeast(1), ks.atMost(1))))
	assert.NoError(t, ks.judge(0, "", false, ks.atLeast(0), ks.atMost(0)), "nothing was ever written to it")
}

func TestAStaleReadMayBeOldButNotInvented(t *testing.T) {
	ks := written(t)
	assert.NoError(t, ks.judge(1, ks.value(1, 1), true, 0, ks.atMost(1)))
	assert.NoError(t, ks.judge(1, "", false, 0, ks.atMost(1)))
	assert.Equal(t, "corrupt", what(ks.judge(1, ks.value(1, 4), true, 0, ks.atMost(1))))
}

// Each byte counts: a value of another key, one that is cut off, one with a flipped bit.
func TestAValueThatNobodyWroteIsCorrupt(t *testing.T) {
	ks := written(t)
	good := ks.value(1, 2)
	flipped := []byte(good)
	flipped[len(flipped)-1] ^= 1
	for _, bad := range []string{"", "1", "1 ", "1 0 ", ks.value(0, 2), good[:39], good + "x", string(flipped), "1 99999999999999999999"} {
		assert.Equal(t, "corrupt", what(ks.judge(1, bad, true, 0, 3)), "%q", bad)
	}
}

func TestNothingIsWrittenAfterAnUnknownOutcome(t *testing.T) {
	ks := newKeys(1, 40)
	_, number := ks.issue(0)
	assert.False(t, ks.settled(0))
	ks.undone(0, number)
	assert.True(t, ks.settled(0), "it certainly did not happen, so its number is free again")
	_, number = ks.issue(0)
	ks.acknowledged(0, number)
	assert.True(t, ks.settled(0))
}

func TestValuesHaveTheirSizeAndDiffer(t *testing.T) {
	for _, size := range []int{32, 100} {
		ks := newKeys(1_000_000, size)
		seen := map[string]bool{}
		for _, k := range []int{0, 1, 999_999} {
			for _, number := range []uint32{1, 2, 1_000_000} {
				assert.Len(t, ks.value(k, number), size)
				seen[ks.value(k, number)] = true
			}
		}
		assert.Len(t, seen, 9)
	}
}
