package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
)

// bodyBuffer is where the body of one request is read into.
type bodyBuffer struct{ bytes.Buffer }

// maxPooledBytes is the largest buffer that is kept for the next request: a few
// large values shall not cost their memory for ever.
const maxPooledBytes = 64 << 10

// maxLargeBodies bounds the memory for bodies larger than maxPooledBytes, of all
// requests together. Who comes when it is used up is told 429: a thousand clients that
// each send almost all of 8 MiB would else take the machine's memory.
const maxLargeBodies = 256 << 20

// body reads the body of a request, at most MaxBodyBytes. What is returned is valid
// until release. Memory is taken as bytes arrive, not as the header promises.
func (s *Server) body(w http.ResponseWriter, r *http.Request) (b *bodyBuffer, release func(), f *failure) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, nil, encodedBody.because("send the body as it is, without Content-Encoding")
	}
	b = s.bodies.Get().(*bodyBuffer)
	b.Reset()
	var large int64
	release = func() {
		s.largeBodies.Release(large)
		if b.Cap() <= maxPooledBytes {
			s.bodies.Put(b)
		}
	}
	if r.ContentLength > MaxBodyBytes {
		w.Header().Set("Connection", "close") // nobody is going to read the rest
		release()
		return nil, nil, tooLarge()
	}
	limited := http.MaxBytesReader(w, r.Body, MaxBodyBytes)
	_, err := b.ReadFrom(io.LimitReader(limited, maxPooledBytes/2))
	if err == nil && b.Len() == maxPooledBytes/2 {
		weight := 2 * largest(r) // a buffer that grows has the old contents beside the new
		if !s.largeBodies.TryAcquire(weight) {
			w.Header().Set("Connection", "close")
			release()
			return nil, nil, busy.because("too many large requests are under way on this node; nothing was done")
		}
		large = weight
		_, err = b.ReadFrom(limited)
	}
	if err != nil {
		release()
		return nil, nil, readFailure(err)
	}
	return b, release, nil
}

// largest is how many bytes the body may turn out to have.
func largest(r *http.Request) int64 {
	if r.ContentLength >= 0 {
		return r.ContentLength
	}
	return MaxBodyBytes
}

func tooLarge() *failure {
	return bodyTooLarge.because("the body is larger than %d bytes", MaxBodyBytes)
}

func readFailure(err error) *failure {
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return slowRequest.because("the body did not arrive in time")
	}
	return invalidJSON.because("the body was cut off")
}
