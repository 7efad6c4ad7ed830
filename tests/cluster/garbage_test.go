package cluster

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is not Raft is shown the door by the Raft port, and the node stays what it is.
func TestGarbageOnTheRaftPort(t *testing.T) {
	servers := newCluster(t, 1)
	startAll(servers)
	leader := leaderOf(t, servers)
	before := leader.status()

	random := make([]byte, 64<<10)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(random)
	for name, garbage := range map[string][]byte{
		"random bytes":         random,
		"an HTTP request":      []byte("GET /get?key=x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"a TLS hello":          append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, random[:512]...),
		"a length of 4 GiB":    bytes.Repeat([]byte{0xff}, 32),
		"our magic and no end": []byte("dbdb-raft\x01\xff\xff\xff\xff"),
		"nothing":              nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", net.JoinHostPort("localhost", strconv.Itoa(leader.raft)))
			require.NoError(t, err)
			defer func() { _ = c.Close() }()
			_, _ = c.Write(garbage)
			begin := time.Now()
			require.NoError(t, c.SetReadDeadline(begin.Add(10*time.Second)))
			_, err = io.ReadAll(c)
			if timeout, ok := err.(net.Error); ok {
				assert.False(t, timeout.Timeout(), "still open after %v", time.Since(begin))
			}
			assert.Less(t, time.Since(begin), 7*time.Second, "5 s, and the machine's own delays")
		})
	}
	t.Cleanup(func() {
		assert.Equal(t, before, leader.status(), "role and term")
		assert.NotContains(t, leader.log.String(), "panic")
	})
}
