package httpapi

import (
	"bytes"
	"errors"
	"net/http"
	"os"
)

// bodyBuffer is where the body of one request is read into.
type bodyBuffer struct{ bytes.Buffer }

// maxPooledBytes is the largest buffer that is kept for the next request: a few
// large values shall not cost their memory for ever.
const maxPooledBytes = 64 << 10

// body reads the body of a request, at most MaxBodyBytes. What is returned is valid
// until release. Memory is taken as bytes arrive, not as the header promises.
func (s *Server) body(w http.ResponseWriter, r *http.Request) (b *bodyBuffer, release func(), f *failure) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, nil, encodedBody.because("send the body as it is, without Content-Encoding")
	}
	b = s.bodies.Get().(*bodyBuffer)
	b.Reset()
	release = func() {
		if b.Cap() <= maxPooledBytes {
			s.bodies.Put(b)
		}
	}
	if r.ContentLength > MaxBodyBytes {
		w.Header().Set("Connection", "close") // nobody is going to read the rest
		release()
		return nil, nil, tooLarge()
	}
	if _, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, MaxBodyBytes)); err != nil {
		release()
		return nil, nil, readFailure(err)
	}
	return b, release, nil
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
