package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dbdb/kvstore"
	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fake is a node without Raft: what it is told to apply goes straight into the store.
type fake struct {
	mu       sync.Mutex
	info     Info
	store    *kvstore.Store
	commands [][]byte
	learners []raft.Member
	removals []raft.NodeID
	targets  []raft.NodeID // of transfers
	reads    int

	applyErr, readErr, learnerErr, progressErr, removeErr, transferErr error
	progress                                                           []Progress
	reachable                                                          map[raft.NodeID]bool
	// onApply, if set, runs before a command is applied; it may block until ctx ends.
	onApply func(ctx context.Context) error
	// onRemove, if set, runs before a member is removed; it may block until ctx ends.
	onRemove func(ctx context.Context) error
	// onTransfer, if set, is what happens instead of a hand-over to node2.
	onTransfer func()
}

func (f *fake) Info() Info {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.info
}

func (f *fake) change(edit func(*Info)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit(&f.info)
}

func (f *fake) Apply(ctx context.Context, cmd []byte) (Result, error) {
	if f.onApply != nil {
		if err := f.onApply(ctx); err != nil {
			return Result{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.applyErr != nil {
		return Result{}, f.applyErr
	}
	f.commands = append(f.commands, cmd)
	f.info.AppliedIndex++
	return Result{Index: f.info.AppliedIndex, Term: f.info.Term, Value: f.store.Apply(f.info.AppliedIndex, cmd)}, nil
}

func (f *fake) Read(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	return f.readErr
}

func (f *fake) AddLearner(_ context.Context, m raft.Member) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.learnerErr != nil {
		return f.learnerErr
	}
	f.learners = append(f.learners, m)
	f.info.Configuration.Members = append(f.info.Configuration.Members, m)
	return nil
}

func (f *fake) RemoveServer(ctx context.Context, id raft.NodeID) error {
	if f.onRemove != nil {
		if err := f.onRemove(ctx); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.removeErr != nil {
		return f.removeErr
	}
	f.removals = append(f.removals, id)
	members := slices.Clone(f.info.Configuration.Members)
	f.info.Configuration.Members = slices.DeleteFunc(members, func(m raft.Member) bool { return m.ID == id })
	return nil
}

// TransferLeadership hands over to node2, whoever was asked for, unless onTransfer says
// otherwise.
func (f *fake) TransferLeadership(_ context.Context, to raft.NodeID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.transferErr != nil {
		return f.transferErr
	}
	f.targets = append(f.targets, to)
	if f.onTransfer != nil {
		f.onTransfer()
		return nil
	}
	f.info.State, f.info.Leader, f.info.Term = raft.Follower, node2.ID, f.info.Term+1
	return nil
}

func (f *fake) Progress(context.Context) ([]Progress, error) { return f.progress, f.progressErr }

func (f *fake) Reachable(id raft.NodeID) bool { return f.reachable[id] }

// seen counts the commands that reached the log.
func (f *fake) seen() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.commands)
}

var (
	node1 = raft.Member{ID: "node1.aaaaaa", Role: raft.Voter, RaftAddr: "localhost:2221", HTTPAddr: "localhost:8221"}
	node2 = raft.Member{ID: "node2.bbbbbb", Role: raft.Voter, RaftAddr: "localhost:2222", HTTPAddr: "localhost:8222"}
	node3 = raft.Member{ID: "node3.cccccc", Role: raft.Voter, RaftAddr: "localhost:2223", HTTPAddr: "localhost:8223"}
)

const testCluster = "3f2a00000000000000000000000000ff"

// newFake is a member of a cluster of two; leader says who leads it.
func newFake(self, leader raft.Member) *fake {
	f := &fake{store: kvstore.New(), info: Info{
		Name: self.Name(), ID: self.ID, Cluster: testCluster, Term: 5, Leader: leader.ID,
		CommitIndex: 16, LeaderCommit: 16, AppliedIndex: 16, LastIndex: 16,
		Configuration: raft.Configuration{Members: []raft.Member{node1, node2}},
	}}
	if self.ID == leader.ID {
		f.info.State = raft.Leader
	}
	return f
}

func newServer(t testing.TB, f *fake, edit ...func(*Options)) *Server {
	o := Options{Backend: f, Store: f.store, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, e := range edit {
		e(&o)
	}
	return New(o)
}

// leaderServer is a node that leads.
func leaderServer(t testing.TB, edit ...func(*Options)) (*Server, *fake) {
	f := newFake(node1, node1)
	return newServer(t, f, edit...), f
}

// send makes one request without a network in between.
func send(s http.Handler, method, target, body string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// problemBody is what every error looks like.
type problemBody struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// requireProblem checks all that errors have in common, and returns the detail.
func requireProblem(t *testing.T, resp *http.Response, status int, code string) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, status, resp.StatusCode, "%s", body)
	assert.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
	assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	require.True(t, strings.HasSuffix(string(body), "}\n"), "%q", body)
	var p problemBody
	require.NoError(t, json.Unmarshal(body, &p))
	assert.Equal(t, status, p.Status)
	assert.Equal(t, code, p.Code)
	assert.NotEmpty(t, p.Title)
	assert.NotEmpty(t, p.Detail)
	if status == 503 || status == 429 {
		assert.Equal(t, "1", resp.Header.Get("Retry-After"))
	}
	return p.Detail
}

// soon bounds the waiting of tests in which no leader appears.
func soon(o *Options) { o.LeaderWait = 30 * time.Millisecond }
