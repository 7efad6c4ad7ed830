package httpapi

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A request body is one flat JSON object whose members are strings. It is decoded
// by hand because encoding/json is too kind for a database: it takes member
// names in any case, lets the last of two equal members win, leaves out what it
// does not know, accepts null, and turns invalid UTF-8 and half surrogate pairs
// into U+FFFD, so that two different keys become the same one.

// members is the strings of an object, in the order of the names asked for.
type members []member

type member struct {
	value   []byte // aliases the body unless it had escapes
	present bool
}

// decodeMembers reads an object that has no members but names, each at most once.
// The result has one element for each name.
func decodeMembers(body []byte, names ...string) (members, *failure) {
	if !utf8.Valid(body) {
		return nil, invalidUTF8.because("the body is not valid UTF-8")
	}
	d := decoder{rest: body}
	found := make(members, len(names))
	if f := d.object(names, found); f != nil {
		return nil, f
	}
	if d.space(); len(d.rest) > 0 {
		return nil, invalidJSON.because("the body goes on after the JSON object")
	}
	return found, nil
}

// decoder reads JSON from the front of rest.
type decoder struct{ rest []byte }

func (d *decoder) object(names []string, found members) *failure {
	if !d.token('{') {
		return invalidJSON.because("the body must be a JSON object")
	}
	if d.token('}') {
		return nil
	}
	for {
		if f := d.member(names, found); f != nil {
			return f
		}
		switch {
		case d.token(','):
		case d.token('}'):
			return nil
		default:
			return invalidJSON.because("the body is not valid JSON: , or } is missing")
		}
	}
}

func (d *decoder) member(names []string, found members) *failure {
	d.space()
	name, ok := d.string()
	if !ok || !d.token(':') {
		return invalidJSON.because("the body is not valid JSON: a member is malformed")
	}
	at := slices.Index(names, string(name))
	if at < 0 {
		return unknownField.because("unknown field %q: use %s", shorten(string(name)), strings.Join(names, ", "))
	}
	if found[at].present {
		return duplicateField.because("field %q is there twice", name)
	}
	d.space()
	if len(d.rest) > 0 && bytes.IndexByte([]byte("-0123456789tfn{["), d.rest[0]) >= 0 {
		return notAString.because("%s must be a JSON string", name)
	}
	value, ok := d.string()
	if !ok {
		return invalidJSON.because("the body is not valid JSON: %s is malformed", name)
	}
	found[at] = member{value, true}
	return nil
}

func (d *decoder) space() {
	n := 0
	for n < len(d.rest) && (d.rest[n] == ' ' || d.rest[n] == '\n' || d.rest[n] == '\r' || d.rest[n] == '\t') {
		n++
	}
	d.rest = d.rest[n:]
}

// token takes c and the white space before it, if c is there.
func (d *decoder) token(c byte) bool {
	d.space()
	if len(d.rest) == 0 || d.rest[0] != c {
		return false
	}
	d.rest = d.rest[1:]
	return true
}

// string takes a JSON string. Without escapes it is a part of the body.
func (d *decoder) string() ([]byte, bool) {
	if len(d.rest) == 0 || d.rest[0] != '"' {
		return nil, false
	}
	d.rest = d.rest[1:]
	n := d.plain()
	if n < len(d.rest) && d.rest[n] == '"' {
		s := d.rest[:n:n]
		d.rest = d.rest[n+1:]
		return s, true
	}
	return d.escapedString()
}

// plain counts the bytes before the next quote, backslash or control character.
func (d *decoder) plain() int {
	for n, c := range d.rest {
		if c == '"' || c == '\\' || c < ' ' {
			return n
		}
	}
	return len(d.rest)
}

func (d *decoder) escapedString() ([]byte, bool) {
	s := []byte{}
	for {
		n := d.plain()
		s = append(s, d.rest[:n]...)
		d.rest = d.rest[n:]
		switch {
		case len(d.rest) == 0 || d.rest[0] < ' ':
			return nil, false // cut off, or a raw control character
		case d.rest[0] == '"':
			d.rest = d.rest[1:]
			return s, true
		}
		r, ok := d.escape()
		if !ok {
			return nil, false
		}
		s = utf8.AppendRune(s, r)
	}
}

var escapes = map[byte]rune{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// escape takes one escape sequence, or the two of a surrogate pair. Half a pair is
// no character: \ud800 and \udbff would both be stored as U+FFFD.
func (d *decoder) escape() (rune, bool) {
	if len(d.rest) < 2 {
		return 0, false
	}
	if d.rest[1] != 'u' {
		r, ok := escapes[d.rest[1]]
		d.rest = d.rest[2:]
		return r, ok
	}
	first, ok := d.unicodeEscape()
	if !ok || !utf16.IsSurrogate(first) {
		return first, ok
	}
	second, ok := d.unicodeEscape()
	r := utf16.DecodeRune(first, second)
	return r, ok && r != utf8.RuneError
}

// unicodeEscape takes \u and four hexadecimal digits.
func (d *decoder) unicodeEscape() (rune, bool) {
	if len(d.rest) < 6 || d.rest[0] != '\\' || d.rest[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range d.rest[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	d.rest = d.rest[6:]
	return r, true
}

// shorten keeps what an answer repeats of a request small, whatever was sent.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
