package httpapi

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// parseQuery reads the parameters of a query, each known and at most once.
// url.ParseQuery keeps the first of two and r.URL.Query drops what it cannot
// parse: both would answer for another key than the one that was asked for.
func parseQuery(raw string, known ...string) (map[string]string, *failure) {
	if raw == "" {
		return nil, nil
	}
	params := make(map[string]string, len(known))
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, invalidQuery.because("the query has a malformed %% escape")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, invalidQuery.because("the query has a malformed %% escape")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, invalidUTF8.because("the query is not valid UTF-8")
		}
		if !slices.Contains(known, name) {
			return nil, invalidQuery.because("unknown query parameter %q", shorten(name))
		}
		if _, twice := params[name]; twice {
			return nil, invalidQuery.because("the query has %q twice", name)
		}
		params[name] = value
	}
	return params, nil
}

// choice returns a parameter that must be one of the allowed words; the first is
// what it is when it is not there.
func choice(params map[string]string, name string, allowed ...string) (string, *failure) {
	value, present := params[name]
	if !present {
		return allowed[0], nil
	}
	if !slices.Contains(allowed, value) {
		return "", invalidQuery.because("%s=%s: use %s", name, shorten(value), strings.Join(allowed, " or "))
	}
	return value, nil
}
