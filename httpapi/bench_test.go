package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func BenchmarkGet(b *testing.B) {
	s, f := leaderServer(b)
	put(b, f, "x", strings.Repeat("v", 100))
	r := httptest.NewRequest("GET", "/get?key=x", nil)
	b.ReportAllocs()
	for b.Loop() {
		s.ServeHTTP(&discard{http.Header{}}, r)
	}
}

func BenchmarkApply(b *testing.B) {
	s, _ := leaderServer(b)
	s.backend = accepting{s.backend}
	body := strings.NewReader("")
	r := httptest.NewRequest("POST", "/apply", body)
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(setX)
		s.ServeHTTP(&discard{http.Header{}}, r)
	}
}

// accepting says yes to everything at once.
type accepting struct{ Backend }

func (accepting) Apply(context.Context, []byte) (Result, error) {
	return Result{Index: 7, Term: 2}, nil
}
