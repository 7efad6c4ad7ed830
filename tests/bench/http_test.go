package main

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// against is a client of a server that answers with a handler.
func against(t *testing.T, h http.HandlerFunc) client {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	clients, err := dialHTTP(s.Listener.Addr().String(), 1, time.Second)
	require.NoError(t, err)
	t.Cleanup(clients[0].close)
	return clients[0]
}

func answer(status int, found, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Dbdb-Found", found)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestAValueAndAMissingKeyAreToldApart(t *testing.T) {
	value, found, err := against(t, answer(200, "true", "{\"data\":\"23\"}\n")).get("x", true)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "23", value)

	_, found, err = against(t, answer(200, "false", "{\"data\":\"\"}\n")).get("x", true)
	require.NoError(t, err)
	assert.False(t, found)
}

// Only a 503 or a 429 promises that nothing was done, and a server that nobody reached.
func TestWhatACertainlyFailedWriteIs(t *testing.T) {
	for status, certain := range map[int]bool{503: true, 429: true, 504: false, 500: false} {
		err := against(t, answer(status, "", "why\n")).set("x", "23")
		require.ErrorContains(t, err, "why")
		assert.Equal(t, certain, isNotDone(err), "%d", status)
	}
	clients, err := dialHTTP("localhost:1", 1, time.Second)
	require.NoError(t, err)
	assert.True(t, isNotDone(clients[0].set("x", "23")))
}

// The next answer on the connection would be taken for that of the next request.
func TestAConnectionIsNotUsedAfterAnAnswerThatCameTooLate(t *testing.T) {
	ln, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer func() { _ = ln.Close() }()
	connections := make(chan struct{}, 2)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			connections <- struct{}{}
			go func() { _, _ = bufio.NewReader(conn).ReadByte() }() // and no answer
		}
	}()
	clients, err := dialHTTP(ln.Addr().String(), 1, 20*time.Millisecond)
	require.NoError(t, err)
	for range 2 {
		err := clients[0].set("x", "23")
		require.Error(t, err)
		assert.False(t, isNotDone(err), "it was sent")
	}
	assert.Len(t, connections, 2)
}
