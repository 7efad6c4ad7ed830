package httpapi

import (
	"context"
	"net/http"
	"time"

	"dbdb/raft"
)

// Status is the answer to GET /v1/status: what this node knows.
type Status struct {
	Name         string     `json:"name"`
	ID           string     `json:"id"`
	Cluster      string     `json:"cluster"` // "" while the node belongs to none
	State        string     `json:"state"`   // follower, pre-candidate, candidate, leader; none without a cluster
	Term         raft.Term  `json:"term"`
	Leader       string     `json:"leader"` // its name, or ""
	CommitIndex  raft.Index `json:"commitIndex"`
	AppliedIndex raft.Index `json:"appliedIndex"`
	LastIndex    raft.Index `json:"lastIndex"`
	// SnapshotIndex is where the snapshot ends that stands for the beginning of the log.
	SnapshotIndex raft.Index     `json:"snapshotIndex"`
	Keys          int            `json:"keys"`
	Ready         bool           `json:"ready"`
	Members       []MemberStatus `json:"members"`
	// RemovedAt is the index of the configuration that removed this node.
	RemovedAt raft.Index `json:"removedAt,omitempty"`
	// CatchingUp is there while this node receives a snapshot from the leader.
	CatchingUp *CatchingUp `json:"catchingUp,omitempty"`
}

// MemberStatus is a member as this node sees it. Only a leader knows how far the
// others are.
type MemberStatus struct {
	Member
	// Reachable is left out by a follower, which has no reason to talk to others.
	Reachable  *bool       `json:"reachable,omitempty"`
	MatchIndex *raft.Index `json:"matchIndex,omitempty"`
	NextIndex  *raft.Index `json:"nextIndex,omitempty"`
	// CatchingUp is there, on the leader, while the member lacks much.
	CatchingUp *CatchingUp `json:"catchingUp,omitempty"`
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
		SnapshotIndex: info.SnapshotIndex, RemovedAt: info.RemovedAt, CatchingUp: ofSnapshot(info.Receiving),
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
			ms.CatchingUp = p.catchingUp(info.LastIndex)
		}
	}
	return ms
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
