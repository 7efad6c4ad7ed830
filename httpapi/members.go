package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"dbdb/raft"
)

// memberPath is before the name of one member: DELETE /v1/members/node2.
const memberPath = "/v1/members/"

// memberPattern is what may follow it: a --node-id, or a whole id with its instance.
var memberPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// memberName reads the name of a member out of a path. It looks at the path as it was
// sent: in the decoded one, node%2F2 has become two elements. What could be nobody's
// name, as "..", is no such path.
func memberName(u *url.URL) (name string, ok bool) {
	escaped, ok := strings.CutPrefix(u.EscapedPath(), memberPath)
	if !ok {
		return "", false
	}
	name, err := url.PathUnescape(escaped)
	return name, err == nil && memberPattern.MatchString(name)
}

// MembersReply says who the members are: the answer to GET /v1/members, and to a joiner
// and a removal once the change is committed.
type MembersReply struct {
	Cluster string   `json:"cluster"`
	Members []Member `json:"members"`
}

// Member is one member of the cluster, as /join and /v1/members show it.
type Member struct {
	Name     string `json:"name"`
	ID       string `json:"id"`
	Role     string `json:"role"` // "voter" or "learner"
	RaftAddr string `json:"raftAddr"`
	HTTPAddr string `json:"httpAddr"`
}

// members answers GET /v1/members with the configuration in use here.
func (s *Server) members(w http.ResponseWriter, _ *http.Request) *failure {
	s.writeMembers(w)
	return nil
}

func (s *Server) writeMembers(w http.ResponseWriter) {
	info := s.backend.Info()
	writeJSON(w, http.StatusOK, MembersReply{Cluster: info.Cluster, Members: membersOf(info.Configuration)})
}

func membersOf(c raft.Configuration) []Member {
	list := []Member{}
	for _, m := range c.Members {
		list = append(list, Member{Name: m.Name(), ID: string(m.ID), Role: m.Role.String(), RaftAddr: m.RaftAddr, HTTPAddr: m.HTTPAddr})
	}
	return list
}

// removeMember answers DELETE /v1/members/{name}, with the members that remain, once the
// configuration without the member is committed (thesis §4.2).
func (s *Server) removeMember(w http.ResponseWriter, r *http.Request) *failure {
	if _, f := parseQuery(r.URL.RawQuery); f != nil {
		return f
	}
	name, _ := memberName(r.URL)
	var refused *failure
	f := s.atLeader(w, r, leaderCall{here: func(ctx context.Context) (err error) {
		refused, err = s.removeHere(ctx, w, name)
		return err
	}})
	switch {
	case refused != nil:
		return refused
	case f == nil:
		return nil
	case f.Code == outcomeUnknown.Code:
		return outcomeUnknown.because("%s may or may not be removed: ask GET /v1/members", name)
	case f.Code == noLeader.Code:
		return noLeader.because("%s; members can be removed only while a majority is there: %s", f.detail, lostForGood)
	}
	return f
}

// removeHere is the leader's part. It takes one removal at a time: two that are judged
// before either is in the configuration can be harmless each and leave no majority together.
func (s *Server) removeHere(ctx context.Context, w http.ResponseWriter, name string) (*failure, error) {
	// A client that hangs up must not let the next one in before this one's fate is known.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.writeDeadline)
	defer cancel()
	if err := s.removals.Acquire(ctx, 1); err != nil {
		return nil, ErrTimeout
	}
	defer s.removals.Release(1)
	m, refused := s.removable(name)
	if refused != nil {
		return refused, nil
	}
	err := s.backend.RemoveServer(ctx, m.ID)
	if err == nil {
		s.writeMembers(w)
	}
	return nil, err
}

// lostForGood is the way out that needs no majority.
const lostForGood = "if it is lost for good, stop a survivor and run dbdb recover on it"

// removable finds the member to remove. It refuses to leave a configuration whose
// majority this leader cannot reach: it would be in force at once, could not be
// committed, and nothing could be written any more.
func (s *Server) removable(name string) (raft.Member, *failure) {
	info := s.backend.Info()
	m, f := find(info, name)
	if f != nil || m.Role != raft.Voter {
		return m, f // a learner counts for nothing
	}
	rest := info
	rest.Configuration.Members = nil
	for _, other := range info.Configuration.Members {
		if other.ID != m.ID {
			rest.Configuration.Members = append(rest.Configuration.Members, other)
		}
	}
	have, voters, missing := Quorum(rest, s.backend.Reachable)
	switch {
	case voters == 0:
		return m, lastVoter.because("%s is the only voter: without it nobody could write any more", m.Name())
	case have < rest.Configuration.Quorum():
		return m, wouldLoseQuorum.because("without %s, %d of %d voters would be there, and %d must be; not reachable: %s. Start them, or remove them first; %s",
			m.Name(), have, voters, rest.Configuration.Quorum(), missing, lostForGood)
	}
	return m, nil
}

// find looks a member up by its whole id or by its name.
func find(info Info, name string) (raft.Member, *failure) {
	if m, ok := info.Configuration.Member(raft.NodeID(name)); ok {
		return m, nil
	}
	var names []string
	for _, m := range info.Configuration.Members {
		if m.Name() == name {
			return m, nil
		}
		names = append(names, m.Name())
	}
	return raft.Member{}, unknownMember.because("no member is called %q; there are %s", shorten(name), strings.Join(names, ", "))
}
