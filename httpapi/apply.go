package httpapi

import (
	"context"
	"errors"
	"net/http"

	"dbdb/kvstore"
)

// apply answers POST /apply: {"op":"set","key":…,"value":…} or {"op":"del","key":…}.
// The command is checked to the end before it may enter the log: what is in the log
// must be carried out by every replica at every start.
func (s *Server) apply(w http.ResponseWriter, r *http.Request) *failure {
	params, f := parseQuery(r.URL.RawQuery, "redirect")
	if f != nil {
		return f
	}
	redirect, f := choice(params, "redirect", "0", "1")
	if f != nil {
		return f
	}
	body, release, f := s.body(w, r)
	if f != nil {
		return f
	}
	defer release()
	cmd, f := parseCommand(body.Bytes())
	if f != nil {
		return f
	}
	return s.atLeader(w, r, leaderCall{
		body: body.Bytes(), redirect: redirect == "1",
		here: func(ctx context.Context) error { return s.applyHere(ctx, w, cmd) },
	})
}

// applyHere applies a command on this node and writes the answer.
func (s *Server) applyHere(ctx context.Context, w http.ResponseWriter, cmd []byte) error {
	res, err := s.backend.Apply(ctx, cmd)
	if err != nil {
		return err
	}
	if string(res.Value) == kvstore.ResultRefused {
		return errRefused
	}
	h := w.Header()
	h["Dbdb-Index"] = []string{decimal(res.Index)}
	h["Dbdb-Term"] = []string{decimal(res.Term)}
	h["Dbdb-Leader"] = []string{s.backend.Info().Name}
	h["Content-Length"] = []string{"0"}
	w.WriteHeader(http.StatusOK)
	return nil
}

// errRefused cannot happen: the command was valid when it was encoded.
var errRefused = errors.New("the state machine refused a command that this node had checked")

// parseCommand turns a body into a command for the log. It aliases nothing.
func parseCommand(body []byte) ([]byte, *failure) {
	m, f := decodeMembers(body, "op", "key", "value")
	if f != nil {
		return nil, f
	}
	op, key, value := m[0], m[1], m[2]
	c := kvstore.Command{Key: key.value, Value: value.value}
	switch string(op.value) {
	case "set":
		c.Op = kvstore.Set
		if !value.present {
			return nil, missingValue.because(`set needs a "value" (it may be "")`)
		}
	case "del":
		c.Op = kvstore.Del
		if len(value.value) > 0 {
			return nil, unexpectedValue.because(`del takes no "value"`)
		}
	default:
		return nil, badOp(op)
	}
	cmd, err := kvstore.Encode(c)
	return cmd, commandFailure(err)
}

func badOp(op member) *failure {
	if !op.present {
		return unknownOp.because(`missing op: use "set" or "del"`)
	}
	return unknownOp.because(`unknown op %q: use "set" or "del"`, shorten(string(op.value)))
}

func commandFailure(err error) *failure {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kvstore.ErrEmptyKey):
		return missingKey.because("the key is missing or empty")
	case errors.Is(err, kvstore.ErrKeyTooLarge):
		return keyTooLarge.because("the key is larger than %d bytes", kvstore.MaxKeyBytes)
	case errors.Is(err, kvstore.ErrValueTooLarge):
		return valueTooLarge.because("the value is larger than %d bytes", kvstore.MaxValueBytes)
	}
	return internalError.because("the command cannot be encoded")
}
