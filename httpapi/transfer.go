package httpapi

import (
	"context"
	"net/http"
	"time"

	"dbdb/raft"
)

// TransferReply answers POST /v1/leader/transfer.
type TransferReply struct {
	Leader string `json:"leader"` // the name of who leads now
}

// transfer answers POST /v1/leader/transfer: the leader hands over to the member that is
// named by ?to= or by {"to":"node2"}, or to whoever suits best (thesis §3.10).
func (s *Server) transfer(w http.ResponseWriter, r *http.Request) *failure {
	body, release, f := s.body(w, r)
	if f != nil {
		return f
	}
	defer release()
	to, f := parseTransfer(r.URL.RawQuery, body.Bytes())
	if f != nil {
		return f
	}
	// The next node is asked by body alone: queries are not passed on.
	call := leaderCall{}
	if to != "" {
		call.body = append(appendJSONString([]byte(`{"to":`), to), '}')
	}
	var refused *failure
	call.here = func(ctx context.Context) (err error) {
		refused, err = s.transferHere(ctx, w, to)
		return err
	}
	if f = s.atLeader(w, r, call); refused != nil {
		return refused
	}
	if f != nil && f.Code == outcomeUnknown.Code {
		return outcomeUnknown.because(handOverUnknown)
	}
	return f
}

const handOverUnknown = "the leadership may or may not have been handed over: ask GET /v1/status"

// parseTransfer reads the target; "" is anybody.
func parseTransfer(query string, body []byte) (to string, f *failure) {
	params, f := parseQuery(query, "to")
	if f != nil {
		return "", f
	}
	to, given := params["to"]
	if len(body) > 0 {
		m, f := decodeMembers(body, "to")
		if f != nil {
			return "", f
		}
		if given && m[0].present {
			return "", invalidTarget.because("the target is there twice: in the query and in the body")
		}
		if m[0].present {
			to, given = string(m[0].value), true
		}
	}
	if given && !memberPattern.MatchString(to) {
		return "", invalidTarget.because("%q is no name of a member; leave it out to let the leader choose", shorten(to))
	}
	return to, nil
}

// transferHere is the leader's part.
func (s *Server) transferHere(ctx context.Context, w http.ResponseWriter, to string) (*failure, error) {
	before := s.backend.Info()
	target := raft.Member{}
	if to != "" {
		var f *failure
		if target, f = find(before, to); f != nil {
			return f, nil
		}
	}
	switch {
	case target.ID == before.ID && to != "":
		writeJSON(w, http.StatusOK, TransferReply{before.Name})
		return nil, nil
	case to != "" && target.Role != raft.Voter:
		return notAVoter.because("%s is a learner: it can lead once it has caught up and votes", target.Name()), nil
	case before.Configuration.Voters() == 1 && before.Configuration.IsVoter(before.ID):
		return noOtherVoter.because("%s is the only voter: nobody else can lead", before.Name), nil
	}
	if err := s.backend.TransferLeadership(ctx, target.ID); err != nil {
		return nil, err
	}
	return s.tellNewLeader(ctx, w, before, target), nil
}

// tellNewLeader waits until it is known who leads, and answers. A new leader has a
// later term: until then Info may still be the one of before.
func (s *Server) tellNewLeader(ctx context.Context, w http.ResponseWriter, before Info, target raft.Member) *failure {
	for giveUp := time.Now().Add(s.leaderWait); time.Now().Before(giveUp); {
		now := s.backend.Info()
		switch {
		case now.Term <= before.Term || now.Leader == "":
		case target.ID != "" && now.Leader != target.ID:
			return otherLeader.because("%s leads now, not %s", now.Leader.Name(), target.Name())
		default:
			writeJSON(w, http.StatusOK, TransferReply{now.Leader.Name()})
			return nil
		}
		if !Pause(ctx, leaderPoll) {
			break
		}
	}
	return outcomeUnknown.because(handOverUnknown)
}
