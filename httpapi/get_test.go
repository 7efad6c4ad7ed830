package httpapi

import (
	"strings"
	"testing"
	"time"

	"dbdb/kvstore"
	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func put(t testing.TB, f *fake, key, value string) {
	cmd, err := kvstore.Encode(kvstore.Command{Op: kvstore.Set, Key: []byte(key), Value: []byte(value)})
	require.NoError(t, err)
	f.info.AppliedIndex++
	f.store.Apply(f.info.AppliedIndex, cmd)
}

func TestAGetIsAnsweredByteForByteLikeTheREADME(t *testing.T) {
	s, f := leaderServer(t)
	put(t, f, "x", "23")
	w := send(s, "GET", "/get?key=x", "")
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, "{\"data\":\"23\"}\n", w.Body.String())
	assert.Equal(t, map[string][]string{
		"Content-Type": {"application/json"}, "Content-Length": {"14"},
		"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
		"Dbdb-Found": {"true"}, etag: {`"17"`},
		"Dbdb-Applied": {"17"}, "Dbdb-Term": {"5"}, "Dbdb-Leader": {"node1"},
	}, map[string][]string(w.Result().Header))
	assert.Equal(t, 1, f.reads, "the read was not linearizable")
}

func TestAMissingKeyIsAnEmptyStringThatAHeaderTellsFromAnEmptyValue(t *testing.T) {
	s, f := leaderServer(t)
	put(t, f, "empty", "")
	missing, empty := send(s, "GET", "/get?key=x", ""), send(s, "GET", "/get?key=empty", "")
	for _, w := range []int{missing.Code, empty.Code} {
		assert.Equal(t, 200, w)
	}
	assert.Equal(t, "{\"data\":\"\"}\n", missing.Body.String())
	assert.Equal(t, "{\"data\":\"\"}\n", empty.Body.String())
	assert.Equal(t, "false", missing.Header().Get("Dbdb-Found"))
	assert.Equal(t, "true", empty.Header().Get("Dbdb-Found"))
	assert.NotContains(t, missing.Header(), etag)
	assert.Equal(t, []string{`"17"`}, map[string][]string(empty.Header())[etag])
}

func TestAFollowerAnswersAGetItself(t *testing.T) {
	f := newFake(node2, node1)
	put(t, f, "x", "23")
	w := send(newServer(t, f), "GET", "/get?key=x", "")
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, "{\"data\":\"23\"}\n", w.Body.String())
	assert.Equal(t, 1, f.reads)
}

func TestAStaleGetAsksNobodyAndSaysHowOldItMayBe(t *testing.T) {
	f := newFake(node2, node1)
	f.readErr = ErrNoLeader
	f.info.LeaderContact = 1500 * time.Millisecond
	put(t, f, "x", "23")
	w := send(newServer(t, f), "GET", "/get?key=x&consistency=stale", "")
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, "{\"data\":\"23\"}\n", w.Body.String())
	assert.Equal(t, "1.500", w.Header().Get("Dbdb-Age"))
	assert.Zero(t, f.reads)
}

func TestALinearizableGetMayBeAskedForByName(t *testing.T) {
	s, f := leaderServer(t)
	assert.Equal(t, 200, send(s, "GET", "/get?key=x&consistency=linearizable", "").Code)
	assert.Equal(t, 1, f.reads)
}

func TestABadGetIsRefusedByCode(t *testing.T) {
	long := strings.Repeat("k", kvstore.MaxKeyBytes)
	for query, want := range map[string]Problem{
		"":                      missingKey,
		"key=":                  missingKey,
		"key":                   missingKey,
		"consistency=stale":     missingKey,
		"key=%zz":               invalidQuery,
		"key=%":                 invalidQuery,
		"%zz=x":                 invalidQuery,
		"key=x&key=y":           invalidQuery,
		"key=x&%6bey=y":         invalidQuery,
		"KEY=x":                 invalidQuery,
		"key=x&consistency=yes": invalidQuery,
		"key=x&consistency=":    invalidQuery,
		"key=k%ff":              invalidUTF8,
		"key=%ed%a0%80":         invalidUTF8,
		"key=" + long + "k":     keyTooLarge,
	} {
		t.Run(query, func(t *testing.T) {
			s, f := leaderServer(t)
			requireProblem(t, send(s, "GET", "/get?"+query, "").Result(), want.Status, want.Code)
			assert.Zero(t, f.reads)
		})
	}
	s, _ := leaderServer(t)
	assert.Equal(t, 200, send(s, "GET", "/get?key="+long, "").Code, "the longest key is a key")
}

func TestAnyTextIsAKeyAndAValueAndComesBackUnchanged(t *testing.T) {
	for query, key := range map[string]string{
		"a%00b": "a\x00b", "a%0Ab": "a\nb", "a/b": "a/b", "..": "..", "a%2Fb": "a/b", "%2e%2e/x": "../x", "a//b": "a//b",
		"a+b": "a b", "a%2Bb": "a+b", "a;b": "a;b", "%E2%98%83": "☃", "a=b": "a=b", "%252F": "%2F",
	} {
		s, f := leaderServer(t)
		value := `<a href="x">&` + "\u2028" + key
		body := append(appendJSONString([]byte(`{"op":"set","key":`), key), `,"value":`...)
		body = append(appendJSONString(body, value), '}')
		require.Equal(t, 200, send(s, "POST", "/apply", string(body)).Code)
		w := send(s, "GET", "/get?key="+query, "")
		assert.Equal(t, "true", w.Header().Get("Dbdb-Found"), query)
		assert.Equal(t, string(appendJSONString([]byte(`{"data":`), value))+"}\n", w.Body.String())
		assert.Contains(t, w.Body.String(), `<a href=\"x\">&`)
		assert.Equal(t, 1, f.store.Len())
	}
}

func TestAGetWithoutALeaderNamesTheVotersThatAreMissing(t *testing.T) {
	f := newFake(node1, raft.Member{})
	f.readErr = ErrNoLeader
	detail := requireProblem(t, send(newServer(t, f), "GET", "/get?key=x", "").Result(), 503, "no_leader")
	assert.Equal(t, "node1 can reach 1 of 2 voters; not reachable: node2 (localhost:2222)", detail)
}

func TestAGetOnANodeWithoutAClusterSaysWhatItWaitsFor(t *testing.T) {
	f := &fake{store: kvstore.New(), readErr: ErrNotMember, info: Info{Name: "node2", Waits: "node2 is joining"}}
	detail := requireProblem(t, send(newServer(t, f, soon), "GET", "/get?key=x", "").Result(), 503, "not_member")
	assert.Equal(t, "node2 is joining", detail)
}

func TestTooManyReadsAreTurnedAway(t *testing.T) {
	s, f := leaderServer(t)
	f.readErr = ErrBusy
	requireProblem(t, send(s, "GET", "/get?key=x", "").Result(), 429, "busy")
}
