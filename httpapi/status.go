package httpapi

import (
	"context"
	"net/http"
	"time"

	"dbdb/raft"
)

// Status is the answer to GET /v1/status: what this node knows.
type Status struct {
	Name         string         `json:"name"`
	ID           string         `json:"id"`
	Cluster      string         `json:"cluster"` // "" while the node belongs to none
	State        string         `json:"state"`   // follower, pre-candidate, candidate, leader; none without a cluster
	Term         raft.Term      `json:"term"`
	Leader       string         `json:"leader"` // its name, or ""
	CommitIndex  raft.Index     `json:"commitIndex"`
	AppliedIndex raft.Index     `json:"appliedIndex"`
	LastIndex    raft.Index     `json:"lastIndex"`
	Keys         int            `json:"keys"`
	Ready        bool           `json:"ready"`
	Members      []MemberStatus `json:"members"`
}

// MemberStatus is a member as this node sees it. Only a leader knows how far the
// others are.
type MemberStatus struct {
	Member
	// Reachable is left out by a follower, which has no reason to talk to others.
	Reachable  *bool       `json:"reachable,omitempty"`
	MatchIndex *raft.Index `json:"matchIndex,omitempty"`
	NextIndex  *raft.Index `json:"nextIndex,omitempty"`
}

// loopTimeout is how long the node's loop may take to answer a question.
const loopTimeout = time.Second

func (s *Server) status(w http.ResponseWriter, r *http.Request) *failure {
	progress, f := s.progress(r)
	if f != nil {
		return f
	}
	info := s.backend.Info()
	st := Status{
		Name: info.Name, ID: string(info.ID), Cluster: info.Cluster, State: "none",
		Term: info.Term, Leader: info.Leader.Name(),
		CommitIndex: info.CommitIndex, AppliedIndex: info.AppliedIndex, LastIndex: info.LastIndex,
		Keys: s.store.Len(), Ready: ready(s.checks(info)), Members: []MemberStatus{},
	}
	if info.Cluster != "" {
		st.State = info.State.String()
	}
	for _, m := range membersOf(info.Configuration) {
		st.Members = append(st.Members, s.memberStatus(info, m, progress))
	}
	writeJSON(w, http.StatusOK, st)
	return nil
}

func (s *Server) memberStatus(info Info, m Member, progress []Progress) MemberStatus {
	id := raft.NodeID(m.ID)
	ms := MemberStatus{Member: m}
	if info.leads() || info.Leader == "" {
		reachable := id == info.ID || s.backend.Reachable(id)
		ms.Reachable = &reachable
	}
	for _, p := range progress {
		if p.ID == id {
			ms.MatchIndex, ms.NextIndex = &p.MatchIndex, &p.NextIndex
		}
	}
	return ms
}

// members answers GET /v1/members with the configuration in use here.
func (s *Server) members(w http.ResponseWriter, _ *http.Request) *failure {
	info := s.backend.Info()
	writeJSON(w, http.StatusOK, JoinReply{Cluster: info.Cluster, Members: membersOf(info.Configuration)})
	return nil
}

func (s *Server) progress(r *http.Request) ([]Progress, *failure) {
	ctx, cancel := context.WithTimeout(r.Context(), loopTimeout)
	defer cancel()
	progress, err := s.backend.Progress(ctx)
	if err != nil {
		return nil, s.failureOf(err)
	}
	return progress, nil
}
