package httpapi

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oracle is encoding/json, without HTML escaping.
func oracle(t testing.TB, s string) string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(s))
	return string(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}

var awkward = []string{
	"", "23", "a\"b\\c", "\x00\x01\x1f\x7f", "\b\f\n\r\t", "<>&'", "☃", "\U0001F600", "\u2028\u2029", "\u2027\u202a",
	"\xff", "a\xffb\xfe", "\xed\xa0\x80", "\xe2\x80", "\ufffd", "\ufffe",
}

func TestAStringIsWrittenWithTheBytesOfEncodingJSON(t *testing.T) {
	for _, s := range awkward {
		assert.Equal(t, oracle(t, s), string(appendJSONString(nil, s)), "%q", s)
	}
}

func FuzzAStringIsWrittenWithTheBytesOfEncodingJSON(f *testing.F) {
	for _, s := range awkward {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendJSONString([]byte("x"), s)
		require.Equal(t, "x"+oracle(t, s), string(got))
		if utf8.ValidString(s) {
			var back string
			require.NoError(t, json.Unmarshal(got[1:], &back))
			require.Equal(t, s, back)
		}
	})
}

func FuzzWhatIsDecodedIsWhatEncodingJSONDecodes(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"op":"set","key":"x","value":"23"}`, ` { "key" : "\u00e9\ud83d\ude00\n" } `, `{"key":"\ud800"}`, `{"key":1}`,
		`{"key":"x","key":"y"}`, `{"KEY":"x"}`, `{"key":"x"} x`, `null`, `[]`, "{\"key\":\"\xff\"}", `{"value":"\/\b\f\r\t\"\\"}`,
		`{"\u006bey":"x"}`, `{"key":"\uD83D\u0041"}`, `{"key":"\ufffd"}`,
	} {
		f.Add([]byte(s))
	}
	names := []string{"op", "key", "value"}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, refused := decodeMembers(body, names...)
		var want map[string]any
		err := json.Unmarshal(body, &want)
		if refused != nil {
			require.Equal(t, 400, refused.Status)
			return
		}
		require.NoError(t, err, "accepted what is no JSON")
		present := 0
		for i, name := range names {
			value, ok := want[name]
			require.Equal(t, ok, got[i].present)
			if ok {
				present++
				require.Equal(t, value, string(got[i].value))
			}
		}
		require.Len(t, want, present, "accepted an unknown member")
	})
}

func FuzzEveryObjectOfStringsIsDecoded(f *testing.F) {
	f.Add("set", "x", "23")
	f.Add("", "\u2028☃", "\x00\"\\")
	f.Fuzz(func(t *testing.T, op, key, value string) {
		if !utf8.ValidString(op + "|" + key + "|" + value) {
			return // encoding/json writes something else
		}
		body, err := json.Marshal(map[string]string{"op": op, "key": key, "value": value})
		require.NoError(t, err)
		got, refused := decodeMembers(body, "op", "key", "value")
		require.Nil(t, refused)
		for i, s := range []string{op, key, value} {
			require.True(t, got[i].present)
			require.Equal(t, s, string(got[i].value))
		}
	})
}

func TestTheTableOfErrorsHasEachCodeOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Problems() {
		assert.False(t, seen[p.Code], "code %s is there twice", p.Code)
		seen[p.Code] = true
		assert.NotEmpty(t, p.Title)
		assert.Regexp(t, `^[a-z0-9_]+$`, p.Code)
		assert.GreaterOrEqual(t, p.Status, 400)
	}
	assert.Greater(t, len(seen), 20)
}
