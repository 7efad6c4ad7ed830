package kvstore

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestACommandSurvivesEncodingAndDecoding(t *testing.T) {
	for _, c := range []Command{
		{Op: Set, Key: []byte("x"), Value: []byte("23")},
		{Op: Set, Key: []byte("empty"), Value: []byte{}},
		{Op: Set, Key: []byte("a\x00\n/..%2F☃"), Value: []byte("\x00\xff")},
		{Op: Set, Key: bytes.Repeat([]byte("k"), MaxKeyBytes), Value: bytes.Repeat([]byte("v"), MaxValueBytes)},
		{Op: Del, Key: []byte("x"), Value: []byte{}},
	} {
		data, err := Encode(c)
		require.NoError(t, err)
		got, err := Decode(data)
		require.NoError(t, err)
		assert.Equal(t, c, got)
	}
}

func TestTheEncodingOfACommandNeverChanges(t *testing.T) {
	// These bytes are in the logs of running clusters.
	set, err := Encode(Command{Op: Set, Key: []byte("x"), Value: []byte("23")})
	require.NoError(t, err)
	assert.Equal(t, []byte{1, 1, 0, 1, 'x', '2', '3'}, set)
	del, err := Encode(Command{Op: Del, Key: []byte("xy")})
	require.NoError(t, err)
	assert.Equal(t, []byte{1, 2, 0, 2, 'x', 'y'}, del)
}

func TestWhatMayNotEnterTheLogIsRefusedByName(t *testing.T) {
	for name, tc := range map[string]struct {
		c    Command
		want error
	}{
		"no op":           {Command{Key: []byte("x")}, ErrMalformed},
		"unknown op":      {Command{Op: 3, Key: []byte("x")}, ErrMalformed},
		"empty key":       {Command{Op: Set, Value: []byte("v")}, ErrEmptyKey},
		"long key":        {Command{Op: Del, Key: []byte(strings.Repeat("k", MaxKeyBytes+1))}, ErrKeyTooLarge},
		"long value":      {Command{Op: Set, Key: []byte("x"), Value: make([]byte, MaxValueBytes+1)}, ErrValueTooLarge},
		"del and a value": {Command{Op: Del, Key: []byte("x"), Value: []byte("v")}, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := Encode(tc.c)
			assert.ErrorIs(t, err, tc.want)
			assert.Nil(t, data)
		})
	}
}

func TestBytesThatAreNoCommandAreRefused(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":                   nil,
		"a cut header":              {1, 1, 0},
		"another version":           {2, 1, 0, 1, 'x'},
		"an unknown op":             {1, 9, 0, 1, 'x'},
		"a key beyond the end":      {1, 1, 0, 2, 'x'},
		"an empty key":              {1, 1, 0, 0, 'x'},
		"a del with a value":        {1, 2, 0, 1, 'x', 'y'},
		"a client's JSON, unparsed": []byte(`{"op":"set"}`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(data)
			assert.Error(t, err)
		})
	}
}

func BenchmarkEncodeAndDecode(b *testing.B) {
	c := Command{Op: Set, Key: []byte("key00000001"), Value: make([]byte, 100)}
	b.ReportAllocs()
	for b.Loop() {
		data, err := Encode(c)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
