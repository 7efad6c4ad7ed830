package kvstore

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Bounds of one command. They are far below the largest message and the largest
// record of the write-ahead log, so a command that passed them fits everywhere.
const (
	// MaxKeyBytes is the longest key, in bytes.
	MaxKeyBytes = 1 << 10
	// MaxValueBytes is the longest value, in bytes.
	MaxValueBytes = 1 << 20
)

// Op says what a command does.
type Op byte

// The numbers are written into the log: they may be added to, never reused.
const (
	// Set gives a key a value.
	Set Op = 1
	// Del removes a key; it is no error if the key does not exist.
	Del Op = 2
)

func (op Op) String() string {
	switch op {
	case Set:
		return "set"
	case Del:
		return "del"
	}
	return fmt.Sprintf("op %d", byte(op))
}

// Command is one change of the store.
type Command struct {
	Op    Op
	Key   []byte
	Value []byte // empty for Del
}

// What is wrong with a command, for errors.Is.
var (
	// ErrMalformed is a command that no client can have meant: an unknown
	// version or operation, a cut-off key, a Del with a value.
	ErrMalformed = errors.New("malformed command")
	// ErrEmptyKey is a command without a key.
	ErrEmptyKey = errors.New("empty key")
	// ErrKeyTooLarge is a key of more than MaxKeyBytes.
	ErrKeyTooLarge = fmt.Errorf("key is larger than %d bytes", MaxKeyBytes)
	// ErrValueTooLarge is a value of more than MaxValueBytes.
	ErrValueTooLarge = fmt.Errorf("value is larger than %d bytes", MaxValueBytes)
)

// formatVersion is the first byte of every command, so that a later format can
// live in the same log as this one.
const formatVersion = 1

// headerBytes is the length of what stands before the key: version, operation,
// and the length of the key in two bytes. A length of fixed width gives each
// command exactly one encoding.
const headerBytes = 1 + 1 + 2

// Validate says whether the command may enter the log.
func (c Command) Validate() error {
	switch {
	case c.Op != Set && c.Op != Del:
		return fmt.Errorf("%w: %v", ErrMalformed, c.Op)
	case len(c.Key) == 0:
		return ErrEmptyKey
	case len(c.Key) > MaxKeyBytes:
		return ErrKeyTooLarge
	case len(c.Value) > MaxValueBytes:
		return ErrValueTooLarge
	case c.Op == Del && len(c.Value) > 0:
		return fmt.Errorf("%w: del with a value", ErrMalformed)
	}
	return nil
}

// Encode writes the command as the data of a log entry. It refuses what Decode
// would refuse: a command that enters the log and cannot be applied
// would be met again by every replica at every start.
func Encode(c Command) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, headerBytes+len(c.Key)+len(c.Value))
	buf = append(buf, formatVersion, byte(c.Op))
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(c.Key)))
	buf = append(buf, c.Key...)
	return append(buf, c.Value...), nil
}

// Decode reads what Encode wrote; everything else is an error. Key and Value
// alias data.
func Decode(data []byte) (Command, error) {
	if len(data) < headerBytes {
		return Command{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(data))
	}
	if data[0] != formatVersion {
		return Command{}, fmt.Errorf("%w: version %d", ErrMalformed, data[0])
	}
	op, keyLen := Op(data[1]), int(binary.BigEndian.Uint16(data[2:]))
	data = data[headerBytes:]
	if keyLen > len(data) {
		return Command{}, fmt.Errorf("%w: key of %d bytes in %d", ErrMalformed, keyLen, len(data))
	}
	c := Command{Op: op, Key: data[:keyLen:keyLen], Value: data[keyLen:]}
	return c, c.Validate()
}
