package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"dbdb/raft"
)

// Problem is one kind of error. Code is the part that clients may rely on; the
// rest is for people. The body is RFC 9457's application/problem+json.
type Problem struct {
	Status int
	Code   string
	Title  string
}

// All errors of the API. 503 and 429 mean "definitely not done", 504 "nobody can
// say": a client that mixes them up loses writes or makes them twice.
var (
	invalidJSON     = problem(400, "invalid_json", "Invalid JSON")
	invalidUTF8     = problem(400, "invalid_utf8", "Invalid UTF-8")
	notAString      = problem(400, "not_a_string", "Not a string")
	unknownField    = problem(400, "unknown_field", "Unknown field")
	duplicateField  = problem(400, "duplicate_field", "Duplicate field")
	unknownOp       = problem(400, "unknown_op", "Unknown op")
	missingKey      = problem(400, "missing_key", "Missing key")
	missingValue    = problem(400, "missing_value", "Missing value")
	unexpectedValue = problem(400, "unexpected_value", "Unexpected value")
	invalidQuery    = problem(400, "invalid_query", "Invalid query")
	invalidJoiner   = problem(400, "invalid_joiner", "Invalid joiner")
	invalidTarget   = problem(400, "invalid_target", "Invalid target")

	crossOrigin   = problem(403, "cross_origin", "Cross-origin request")
	foreignHost   = problem(403, "foreign_host", "Foreign host")
	notFound      = problem(404, "not_found", "Not found")
	unknownMember = problem(404, "unknown_member", "Unknown member")
	badMethod     = problem(405, "method_not_allowed", "Method not allowed")
	slowRequest   = problem(408, "request_timeout", "Request timeout")

	nameTaken         = problem(409, "name_taken", "Name taken")
	otherCluster      = problem(409, "other_cluster", "Other cluster")
	addressTaken      = problem(409, "address_taken", "Address taken")
	usedTwice         = problem(409, "used_twice", "Data directory used twice")
	leaderUnreachable = problem(409, "leader_unreachable", "Leader unreachable")
	tooManyMembers    = problem(409, "too_many_members", "Too many members")
	lastVoter         = problem(409, "last_voter", "Last voter")
	wouldLoseQuorum   = problem(409, "would_lose_quorum", "Would lose the quorum")
	notAVoter         = problem(409, "not_a_voter", "Not a voter")
	noOtherVoter      = problem(409, "no_other_voter", "No other voter")
	otherLeader       = problem(409, "other_leader", "Other leader")

	bodyTooLarge  = problem(413, "body_too_large", "Body too large")
	keyTooLarge   = problem(413, "key_too_large", "Key too large")
	valueTooLarge = problem(413, "value_too_large", "Value too large")
	encodedBody   = problem(415, "encoded_body", "Encoded body")
	busy          = problem(429, "busy", "Busy")

	internalError = problem(500, "internal", "Internal error")

	notMember         = problem(503, "not_member", "Not a member")
	removed           = problem(503, "removed", "Removed")
	noLeader          = problem(503, "no_leader", "No leader")
	notLeader         = problem(503, "not_leader", "Not the leader")
	notDone           = problem(503, "not_done", "Not done")
	configurationBusy = problem(503, "configuration_busy", "Configuration busy")
	noTransfer        = problem(503, "no_transfer", "Not handed over")
	stopping          = problem(503, "stopping", "Stopping")

	outcomeUnknown = problem(504, "outcome_unknown", "Outcome unknown")
)

var table []Problem

func problem(status int, code, title string) Problem {
	p := Problem{status, code, title}
	table = append(table, p)
	return p
}

// Problems lists every error that the API can answer with.
func Problems() []Problem { return slices.Clone(table) }

// failure is a problem as it happened to one request.
type failure struct {
	Problem
	detail string
}

func (p Problem) because(format string, args ...any) *failure {
	return &failure{p, fmt.Sprintf(format, args...)}
}

// unknownDetail is the sentence of every 504: what the client may do now.
const unknownDetail = "the write may or may not have taken effect; retry only if repeating is harmless"

// failureOf says what a Backend's error means to a client. The error's own text
// stays inside: it may name files or addresses.
func (s *Server) failureOf(err error) *failure {
	switch {
	case errors.Is(err, ErrOutcomeUnknown):
		return outcomeUnknown.because(unknownDetail)
	case errors.Is(err, ErrNotMember):
		return notMember.because("%s", s.backend.Info().Waits)
	case errors.Is(err, errRemoved):
		return removed.because("%s; nothing was done", s.backend.Info().removal())
	case errors.Is(err, ErrNoLeader), errors.Is(err, ErrNotLeader):
		return noLeader.because("%s", s.noLeaderDetail())
	case errors.Is(err, ErrBusy):
		return busy.because("too many requests are waiting on this node; nothing was done")
	case errors.Is(err, ErrBadMember):
		return tooManyMembers.because("a cluster has at most %d members; nothing was done", raft.MaxMembers)
	case errors.Is(err, ErrConfigurationBusy):
		return configurationBusy.because("another change of the configuration is in flight; nothing was done")
	case errors.Is(err, ErrUnknownMember):
		return unknownMember.because("no such member; nothing was done")
	case errors.Is(err, ErrLastVoter):
		return lastVoter.because("the only voter cannot be removed; nothing was done")
	case errors.Is(err, ErrNoTransfer):
		return noTransfer.because("the leadership was not handed over; %s still leads", s.backend.Info().Name)
	case errors.Is(err, ErrStopped):
		return stopping.because("this node is stopping; nothing was done")
	case errors.Is(err, ErrTimeout), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return notDone.because("the deadline passed before anything was done")
	}
	s.log.Error("unexpected error", "err", err)
	return internalError.because("this node logged what happened")
}

// write sends the failure.
func (f *failure) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if f.Status == http.StatusServiceUnavailable || f.Status == http.StatusTooManyRequests {
		h.Set("Retry-After", "1")
	}
	buf := append([]byte(`{"title":`), appendJSONString(nil, f.Title)...)
	buf = append(buf, `,"status":`...)
	buf = strconv.AppendInt(buf, int64(f.Status), 10)
	buf = appendJSONString(append(buf, `,"code":`...), f.Code)
	buf = appendJSONString(append(buf, `,"detail":`...), f.detail)
	buf = append(buf, "}\n"...)
	h.Set("Content-Length", strconv.Itoa(len(buf)))
	w.WriteHeader(f.Status)
	_, _ = w.Write(buf)
}
