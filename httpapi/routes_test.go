package httpapi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAWrongMethodIsToldTheRightOnes(t *testing.T) {
	for _, tc := range []struct{ method, path, allow string }{
		{"GET", "/apply", "POST"},
		{"HEAD", "/apply", "POST"},
		{"PUT", "/apply", "POST"},
		{"OPTIONS", "/apply", "POST"},
		{"POST", "/get?key=x", "GET, HEAD"},
		{"DELETE", "/get?key=x", "GET, HEAD"},
		{"OPTIONS", "/get?key=x", "GET, HEAD"},
		{"GET", "/join", "POST"},
		{"POST", "/v1/status", "GET, HEAD"},
		{"POST", "/readyz", "GET, HEAD"},
		{"BREW", "/healthz", "GET, HEAD"},
		{"GET", "/v1/members/node2", "DELETE"},
		{"POST", "/v1/members/node2", "DELETE"},
		{"DELETE", "/v1/members", "GET, HEAD"},
		{"GET", "/v1/leader/transfer", "POST"},
	} {
		s, f := leaderServer(t)
		w := send(s, tc.method, tc.path, `{"op":"set","key":"x","value":"1"}`)
		requireProblem(t, w.Result(), 405, "method_not_allowed")
		assert.Equal(t, tc.allow, w.Header().Get("Allow"))
		assert.Zero(t, f.seen())
	}
}

func TestAnUnknownPathListsTheEndpoints(t *testing.T) {
	for _, path := range []string{"/", "/Apply", "/apply/", "//apply", "/x/../apply", "/v1/", "/debug/pprof/", "/favicon.ico"} {
		s, f := leaderServer(t)
		w := send(s, "POST", path, `{"op":"set","key":"x","value":"1"}`)
		detail := requireProblem(t, w.Result(), 404, "not_found")
		for _, endpoint := range []string{"POST /apply", "GET /get", "GET /v1/status", "GET /v1/members", "DELETE /v1/members/{name}", "POST /v1/leader/transfer", "POST /join", "GET /readyz", "GET /healthz"} {
			assert.Contains(t, detail, endpoint)
		}
		assert.Zero(t, f.seen())
	}
}

func TestHeadOfAGetHasItsHeaders(t *testing.T) {
	s, f := leaderServer(t)
	put(t, f, "x", "23")
	w := send(s, "HEAD", "/get?key=x", "")
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, "14", w.Header().Get("Content-Length"))
	assert.Equal(t, "true", w.Header().Get("Dbdb-Found"))
}

func TestNothingAllowsOtherOrigins(t *testing.T) {
	s, _ := leaderServer(t)
	w := send(s, "GET", "/get?key=x", "", header("Origin", "https://evil.example"))
	for name := range w.Header() {
		assert.False(t, strings.HasPrefix(name, "Access-Control-"), name)
	}
}
