package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"dbdb/kvstore"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestASetIsAnsweredWithAnEmpty200AndItsPlaceInTheLog(t *testing.T) {
	s, f := leaderServer(t)
	w := send(s, "POST", "/apply", `{"op": "set", "key": "x", "value": "23"}`, header("Content-Type", "application/json"))
	assert.Equal(t, 200, w.Code)
	assert.Empty(t, w.Body.String())
	assert.Equal(t, http.Header{
		"Content-Length": {"0"}, "Dbdb-Index": {"17"}, "Dbdb-Term": {"5"}, "Dbdb-Leader": {"node1"},
	}, w.Result().Header)
	value, _, found := f.store.Get("x")
	assert.True(t, found)
	assert.Equal(t, "23", value)
}

func TestADelIsAnsweredLikeASetWhetherTheKeyExistsOrNot(t *testing.T) {
	s, f := leaderServer(t)
	send(s, "POST", "/apply", `{"op":"set","key":"x","value":"23"}`)
	for range 2 {
		w := send(s, "POST", "/apply", `{"op":"del","key":"x"}`)
		assert.Equal(t, 200, w.Code)
		assert.Empty(t, w.Body.String())
		_, _, found := f.store.Get("x")
		assert.False(t, found)
	}
	assert.Equal(t, 3, f.seen())
}

func TestADelMayCarryTheEmptyValueThatAStructOfAClientHas(t *testing.T) {
	s, f := leaderServer(t)
	assert.Equal(t, 200, send(s, "POST", "/apply", `{"op":"del","key":"x","value":""}`).Code)
	assert.Equal(t, 1, f.seen())
}

func TestTheContentTypeOfAWriteDoesNotMatter(t *testing.T) {
	for _, contentType := range []string{"", "application/x-www-form-urlencoded", "text/plain"} {
		s, f := leaderServer(t)
		w := send(s, "POST", "/apply", `{"op":"set","key":"x","value":""}`, header("Content-Type", contentType))
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, 1, f.seen())
	}
}

func TestABadWriteIsRefusedByCodeAndNeverReachesTheLog(t *testing.T) {
	for _, tc := range []struct {
		body   string
		status int
		code   string
	}{
		{``, 400, "invalid_json"},
		{`hello`, 400, "invalid_json"},
		{`null`, 400, "invalid_json"},
		{`[]`, 400, "invalid_json"},
		{`"set"`, 400, "invalid_json"},
		{`{`, 400, "invalid_json"},
		{`{"op"`, 400, "invalid_json"},
		{`{"op":}`, 400, "invalid_json"},
		{`{"op":"set","key":"x","value":"1"} junk`, 400, "invalid_json"},
		{`{"op":"set","key":"x","value":"1"}{}`, 400, "invalid_json"},
		{`{"op":"set","key":"x","value":"1",}`, 400, "invalid_json"},
		{`{"op":"set" "key":"x","value":"1"}`, 400, "invalid_json"},
		{`{'op':'set'}`, 400, "invalid_json"},
		{"{\"op\":\"set\",\"key\":\"a\nb\",\"value\":\"1\"}", 400, "invalid_json"},
		{`{"op":"set","key":"\x41","value":"1"}`, 400, "invalid_json"},
		{`{"op":"set","key":"\u12g4","value":"1"}`, 400, "invalid_json"},
		{`{"op":"set","key":"\ud800","value":"1"}`, 400, "invalid_json"},
		{`{"op":"set","key":"\udc00\ud800","value":"1"}`, 400, "invalid_json"},
		{`{"op":"set","key":"\ud800x","value":"1"}`, 400, "invalid_json"},
		{"\xef\xbb\xbf{}", 400, "invalid_json"},
		{"{\"op\":\"set\",\"key\":\"k\xff\",\"value\":\"1\"}", 400, "invalid_utf8"},
		{"{\"op\":\"set\",\"key\":\"\xed\xa0\x80\",\"value\":\"1\"}", 400, "invalid_utf8"},
		{`{}`, 400, "unknown_op"},
		{`{"key":"x","value":"1"}`, 400, "unknown_op"},
		{`{"op":"delete","key":"x"}`, 400, "unknown_op"},
		{`{"op":"SET","key":"x","value":"1"}`, 400, "unknown_op"},
		{`{"op":"set","key":"x"}`, 400, "missing_value"},
		{`{"op":"set","key":"x","val":"1"}`, 400, "unknown_field"},
		{`{"op":"set","KEY":"x","value":"1"}`, 400, "unknown_field"},
		{`{"op":"set","key":"x","value":"1","ttl":"5"}`, 400, "unknown_field"},
		{`{"op":"set","key":"x","key":"y","value":"1"}`, 400, "duplicate_field"},
		{`{"op":"set","key":"x","value":23}`, 400, "not_a_string"},
		{`{"op":"set","key":"x","value":null}`, 400, "not_a_string"},
		{`{"op":"set","key":"x","value":{"a":1}}`, 400, "not_a_string"},
		{`{"op":"set","key":["x"],"value":"1"}`, 400, "not_a_string"},
		{`{"op":true,"key":"x","value":"1"}`, 400, "not_a_string"},
		{`{"op":"del","key":"x","value":"1"}`, 400, "unexpected_value"},
		{`{"op":"set","key":"","value":"1"}`, 400, "missing_key"},
		{`{"op":"set","value":"1"}`, 400, "missing_key"},
		{`{"op":"del"}`, 400, "missing_key"},
		{`{"op":"set","key":"` + strings.Repeat("k", kvstore.MaxKeyBytes+1) + `","value":"1"}`, 413, "key_too_large"},
		{`{"op":"set","key":"x","value":"` + strings.Repeat("v", kvstore.MaxValueBytes+1) + `"}`, 413, "value_too_large"},
		{`{"op":"set","key":"x","value":"` + strings.Repeat("v", MaxBodyBytes) + `"}`, 413, "body_too_large"},
		{strings.Repeat("[", 1<<20), 400, "invalid_json"},
		{`{"op":` + strings.Repeat("[", 1<<20), 400, "not_a_string"},
	} {
		t.Run(fmt.Sprintf("%.50q", tc.body), func(t *testing.T) {
			s, f := leaderServer(t)
			requireProblem(t, send(s, "POST", "/apply", tc.body).Result(), tc.status, tc.code)
			assert.Zero(t, f.seen(), "a command reached the log")
		})
	}
}

func TestTheSentenceOfAnUnknownOpSaysWhichThereAre(t *testing.T) {
	s, _ := leaderServer(t)
	detail := requireProblem(t, send(s, "POST", "/apply", `{"op":"delete","key":"x"}`).Result(), 400, "unknown_op")
	assert.Equal(t, `unknown op "delete": use "set" or "del"`, detail)
}

func TestTheSentenceOfANumberSaysThatItMustBeAString(t *testing.T) {
	s, _ := leaderServer(t)
	detail := requireProblem(t, send(s, "POST", "/apply", `{"op":"set","key":"x","value":23}`).Result(), 400, "not_a_string")
	assert.Equal(t, "value must be a JSON string", detail)
}

func TestAnAnswerRepeatsOnlyALittleOfAHugeRequest(t *testing.T) {
	s, _ := leaderServer(t)
	for _, body := range []string{
		`{"` + strings.Repeat("☃", 1<<20) + `":"x"}`,
		`{"op":"` + strings.Repeat("☃", 1<<20) + `","key":"x"}`,
	} {
		w := send(s, "POST", "/apply", body)
		assert.Equal(t, 400, w.Code)
		assert.Less(t, w.Body.Len(), 512)
	}
}

func TestTheLargestKeyAndValueFitEvenWithEveryByteEscaped(t *testing.T) {
	s, f := leaderServer(t)
	key, value := strings.Repeat("k", kvstore.MaxKeyBytes), strings.Repeat(`\u0001`, kvstore.MaxValueBytes)
	assert.Equal(t, 200, send(s, "POST", "/apply", `{"op":"set","key":"`+key+`","value":"`+value+`"}`).Code)
	got, _, _ := f.store.Get(key)
	assert.Equal(t, strings.Repeat("\x01", kvstore.MaxValueBytes), got)
}

func TestABodyOfTheLargestSizeIsReadToItsEnd(t *testing.T) {
	s, f := leaderServer(t)
	body := `{"op":"set","key":"x","value":"1"}`
	assert.Equal(t, 200, send(s, "POST", "/apply", body+strings.Repeat(" ", MaxBodyBytes-len(body))).Code)
	assert.Equal(t, 1, f.seen())
	w := send(s, "POST", "/apply", body+strings.Repeat(" ", MaxBodyBytes-len(body)+1))
	requireProblem(t, w.Result(), 413, "body_too_large")
}

func TestABodyOfUnknownLengthHasTheSameLimit(t *testing.T) {
	s, f := leaderServer(t)
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	requireProblem(t, send(s, "POST", "/apply", strings.Repeat(" ", MaxBodyBytes+1), chunked).Result(), 413, "body_too_large")
	assert.Zero(t, f.seen())
}

func TestACompressedBodyIsRefused(t *testing.T) {
	s, f := leaderServer(t)
	w := send(s, "POST", "/apply", `{"op":"set","key":"x","value":"1"}`, header("Content-Encoding", "gzip"))
	requireProblem(t, w.Result(), 415, "encoded_body")
	assert.Zero(t, f.seen())
}

func TestAWriteFromAnotherSiteInABrowserIsRefused(t *testing.T) {
	for _, edit := range []func(*http.Request){
		header("Sec-Fetch-Site", "cross-site"),
		header("Origin", "https://evil.example"),
		header("Origin", "null"),
	} {
		for _, path := range []string{"/apply", "/join"} {
			s, f := leaderServer(t)
			w := send(s, "POST", path, `{"op":"set","key":"x","value":"1"}`, edit)
			requireProblem(t, w.Result(), 403, "cross_origin")
			assert.Zero(t, f.seen())
		}
	}
}

func TestAnUnknownParameterOfAWriteIsRefused(t *testing.T) {
	for _, query := range []string{"redirekt=1", "redirect=yes", "redirect=1&redirect=1", "key=%zz"} {
		s, f := leaderServer(t)
		w := send(s, "POST", "/apply?"+query, `{"op":"set","key":"x","value":"1"}`)
		requireProblem(t, w.Result(), 400, "invalid_query")
		assert.Zero(t, f.seen())
	}
}

func TestEveryErrorOfTheNodeHasItsStatusAndCode(t *testing.T) {
	for err, want := range map[error]Problem{
		ErrBusy:                     busy,
		ErrTimeout:                  notDone,
		ErrStopped:                  stopping,
		ErrOutcomeUnknown:           outcomeUnknown,
		ErrNotMember:                notMember,
		ErrNoLeader:                 noLeader,
		errRefused:                  internalError,
		context.DeadlineExceeded:    notDone,
		fmt.Errorf("disk /dev/sda"): internalError,
	} {
		t.Run(err.Error(), func(t *testing.T) {
			s, f := leaderServer(t)
			f.info.Waits = "node1 waits"
			f.applyErr = err
			w := send(s, "POST", "/apply", `{"op":"set","key":"x","value":"1"}`)
			detail := requireProblem(t, w.Result(), want.Status, want.Code)
			assert.NotContains(t, detail, "/dev/sda", "internals leak")
		})
	}
}

func TestAnUnknownOutcomeSaysWhatMayBeDoneNow(t *testing.T) {
	s, f := leaderServer(t)
	f.applyErr = ErrOutcomeUnknown
	detail := requireProblem(t, send(s, "POST", "/apply", `{"op":"set","key":"x","value":"1"}`).Result(), 504, "outcome_unknown")
	assert.Equal(t, "the write may or may not have taken effect; retry only if repeating is harmless", detail)
}

func TestACommandThatTheStateMachineRefusesIsNoSuccess(t *testing.T) {
	s, f := leaderServer(t)
	s.backend = refusing{f}
	requireProblem(t, send(s, "POST", "/apply", `{"op":"set","key":"x","value":"1"}`).Result(), 500, "internal")
}

type refusing struct{ *fake }

func (refusing) Apply(context.Context, []byte) (Result, error) {
	return Result{Index: 9, Value: []byte(kvstore.ResultRefused)}, nil
}

func TestAWriteHasADeadline(t *testing.T) {
	s, f := leaderServer(t)
	f.onApply = func(ctx context.Context) error {
		_, has := ctx.Deadline()
		require.True(t, has)
		return nil
	}
	assert.Equal(t, 200, send(s, "POST", "/apply", `{"op":"set","key":"x","value":"1"}`).Code)
}

func TestAPanicIsA500ThatSaysNothing(t *testing.T) {
	s, f := leaderServer(t)
	f.onApply = func(context.Context) error { panic("secret") }
	detail := requireProblem(t, send(s, "POST", "/apply", `{"op":"set","key":"x","value":"1"}`).Result(), 500, "internal")
	assert.NotContains(t, detail, "secret")
}

func TestLargeBodiesAreBoundedAllTogether(t *testing.T) {
	s, f := leaderServer(t)
	big := `{"op":"set","key":"x","value":"` + strings.Repeat("v", 1<<20) + `"}`
	require.True(t, s.largeBodies.TryAcquire(maxLargeBodies))
	requireProblem(t, send(s, "POST", "/apply", big).Result(), 429, "busy")
	assert.Equal(t, 200, send(s, "POST", "/apply", setX).Code, "small ones are not concerned")
	s.largeBodies.Release(maxLargeBodies)
	assert.Equal(t, 200, send(s, "POST", "/apply", big).Code)
	assert.True(t, s.largeBodies.TryAcquire(maxLargeBodies), "all of it was given back")
	assert.Equal(t, 2, f.seen())
}
