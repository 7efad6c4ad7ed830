package httpapi

import (
	"net/http"
	"strconv"
	"sync"

	"dbdb/kvstore"
	"dbdb/raft"
)

// etag is written as RFC 9110 spells it; net/http would make it "Etag".
const etag = "ETag"

// Headers that are the same in every answer; shared, so never appended to.
var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
	noSniff  = []string{"nosniff"}
	isTrue   = []string{"true"}
	isFalse  = []string{"false"}
)

var answers = sync.Pool{New: func() any { return new([]byte) }}

// get answers GET /get?key=. It is linearizable on every node: the state is read
// only after the leader has confirmed that it still leads, and this node has
// applied all that was committed by then (thesis §6.4). With consistency=stale it
// answers at once from what is here, and Dbdb-Age says how old that may be.
func (s *Server) get(w http.ResponseWriter, r *http.Request) *failure {
	params, f := parseQuery(r.URL.RawQuery, "key", "consistency")
	if f != nil {
		return f
	}
	consistency, f := choice(params, "consistency", "linearizable", "stale")
	if f != nil {
		return f
	}
	key := params["key"]
	switch {
	case key == "":
		return missingKey.because("the key is missing or empty: GET /get?key=x")
	case len(key) > kvstore.MaxKeyBytes:
		return commandFailure(kvstore.ErrKeyTooLarge)
	}
	if consistency == "linearizable" {
		if err := s.readable(r.Context()); err != nil {
			return s.failureOf(err)
		}
	}
	s.answer(w, key, consistency == "stale")
	return nil
}

// answer writes the value of a key. Info is taken before the value, so the value is
// at least as new as what Dbdb-Applied claims.
func (s *Server) answer(w http.ResponseWriter, key string, stale bool) {
	info := s.backend.Info()
	value, modIndex, found := s.store.Get(key)
	h := w.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = jsonType, noStore, noSniff
	h["Dbdb-Applied"] = []string{decimal(info.AppliedIndex)}
	h["Dbdb-Term"] = []string{decimal(info.Term)}
	if info.Leader != "" {
		h["Dbdb-Leader"] = []string{info.Leader.Name()}
		if stale {
			h["Dbdb-Age"] = []string{strconv.FormatFloat(info.LeaderContact.Seconds(), 'f', 3, 64)}
		}
	}
	h["Dbdb-Found"] = isFalse
	if found {
		h["Dbdb-Found"] = isTrue
		h[etag] = []string{`"` + decimal(modIndex) + `"`}
	}
	buf := answers.Get().(*[]byte)
	body := appendJSONString(append((*buf)[:0], `{"data":`...), value)
	body = append(body, "}\n"...)
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body)
	if *buf = body; cap(body) <= maxPooledBytes {
		answers.Put(buf)
	}
}

func decimal[N raft.Index | raft.Term](n N) string { return strconv.FormatUint(uint64(n), 10) }
