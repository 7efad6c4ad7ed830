package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// fastWriter is the ResponseWriter of the fast path: it keeps the answer until the handler
// has ended, and then writes it as net/http would.
type fastWriter struct {
	header http.Header
	status int // 0 until WriteHeader
	body   []byte
	out    []byte
	names  []string
}

func (w *fastWriter) reset() {
	clear(w.header)
	w.status = 0
	w.body, w.out = emptied(w.body), emptied(w.out)
}

// emptied gives large memory back.
func emptied(buf []byte) []byte {
	if cap(buf) > maxPooledBytes {
		return nil
	}
	return buf[:0]
}

// Header implements http.ResponseWriter.
func (w *fastWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *fastWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *fastWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

// finish returns the answer. Its headers are in the order of net/http: those of the handler
// by name, then those that the server adds.
func (w *fastWriter) finish(stopping bool) (answer []byte, closes bool) {
	w.WriteHeader(http.StatusOK)
	out := append(w.out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(w.status), 10)
	out = append(append(append(out, ' '), http.StatusText(w.status)...), "\r\n"...)
	w.names = w.names[:0]
	for name := range w.header {
		w.names = append(w.names, name)
	}
	slices.Sort(w.names)
	for _, name := range w.names {
		for _, value := range w.header[name] {
			out = appendHeader(out, name, oneLine.Replace(value))
		}
	}
	out = appendHeader(out, "Date", date(time.Now()))
	if _, has := w.header["Content-Length"]; !has {
		out = append(out, "Content-Length: "...)
		out = append(strconv.AppendInt(out, int64(len(w.body)), 10), "\r\n"...)
	}
	closes = w.header.Get("Connection") == "close"
	if stopping && !closes {
		out, closes = appendHeader(out, "Connection", "close"), true
	}
	w.out = append(append(out, "\r\n"...), w.body...)
	return w.out, closes
}

func appendHeader(out []byte, name, value string) []byte {
	return append(append(append(append(out, name...), ": "...), value...), "\r\n"...)
}

var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

// date is the time as a header has it. It is made once a second.
func date(now time.Time) string {
	if last := lastDate.Load(); last != nil && last.second == now.Unix() {
		return last.text
	}
	d := &stampedDate{now.Unix(), now.UTC().Format(http.TimeFormat)}
	lastDate.Store(d)
	return d.text
}

type stampedDate struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[stampedDate]
