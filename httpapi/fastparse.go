package httpapi

import (
	"bytes"
	"strings"
)

// fastRequest is a request on the fast path. Its slices alias what was read.
type fastRequest struct {
	method, path, query string
	host, body          []byte
	size                int // of all of it
}

var (
	applyLine = []byte("POST /apply HTTP/1.1\r\n")
	getLine   = []byte("GET /get?")
	lineTail  = []byte(" HTTP/1.1")
	lineEnd   = []byte("\r\n")
)

// parseFast reads a request that is for the fast path. That is for what leaves nothing to
// decide: POST /apply or GET /get, HTTP/1.1, printable ASCII, only headers that no handler
// looks at, each at most once, and the whole of it here. Of anything else it says no more
// than that it is none, so it can never take a request for another one than net/http does.
func parseFast(data []byte) (q fastRequest, ok bool) {
	head := bytes.Index(data, []byte("\r\n\r\n"))
	if head < 0 {
		return q, false
	}
	lines, rest := data[:head+2], data[head+4:]
	switch {
	case bytes.HasPrefix(lines, applyLine):
		q.method, q.path = "POST", "/apply"
		lines = lines[len(applyLine):]
	case bytes.HasPrefix(lines, getLine):
		target, others, _ := bytes.Cut(lines[len(getLine):], lineEnd)
		query, isTail := bytes.CutSuffix(target, lineTail)
		if !isTail || !isQuery(query) {
			return q, false
		}
		q.method, q.path, q.query = "GET", "/get", string(query)
		lines = others
	default:
		return q, false
	}
	length, ok := q.headers(lines)
	if !ok || length > len(rest) || (length >= 0) != (q.method == "POST") {
		return q, false
	}
	q.body = rest[:max(length, 0)]
	q.size = head + 4 + len(q.body)
	return q, true
}

// headers reads the lines after the first. length is -1 if there is no Content-Length.
func (q *fastRequest) headers(lines []byte) (length int, ok bool) {
	length = -1
	seen := 0 // a bit for each known name
	for len(lines) > 0 {
		line, others, _ := bytes.Cut(lines, lineEnd)
		lines = others
		name, value, found := bytes.Cut(line, []byte(":"))
		value = bytes.Trim(value, " ")
		k := fastHeader(name)
		if !found || k < 0 || seen&(1<<k) != 0 || !isPrintable(value) {
			return 0, false
		}
		seen |= 1 << k
		switch fastHeaders[k] {
		case "Host":
			q.host = value
			ok = isPlainHost(value)
		case "Content-Length":
			length, ok = plainNumber(value)
		case "Connection":
			ok = strings.EqualFold(string(value), "keep-alive")
		default:
			ok = true
		}
		if !ok {
			return 0, false
		}
	}
	return length, q.host != nil
}

// fastHeaders are the headers that requests on the fast path may have.
var fastHeaders = [...]string{"Host", "Content-Length", "Content-Type", "User-Agent", "Accept", "Accept-Encoding", "Connection"}

func fastHeader(name []byte) int {
	for k, known := range fastHeaders {
		if len(name) == len(known) && strings.EqualFold(string(name), known) {
			return k
		}
	}
	return -1
}

func isPrintable(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func isQuery(text []byte) bool { return isPrintable(text) && !bytes.ContainsAny(text, " #") }

func isPlainHost(host []byte) bool {
	for _, c := range host {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != ':' && c != '-' && c != '[' && c != ']' {
			return false
		}
	}
	return len(host) > 0
}

// plainNumber reads a number of at most five digits.
func plainNumber(text []byte) (n int, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, len(text) > 0 && len(text) <= 5
}
