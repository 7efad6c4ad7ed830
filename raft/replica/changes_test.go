package replica_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/replica"
)

// Changes of the configuration wait for each other, and everybody hears what became of
// theirs; hand-overs too.

var errNotYet = errors.New("not yet")

// told is where the answers to requests end up, in the order of the requests.
type told []error

// next returns what to call with the answer to one more request.
func (w *told) next() func(error) {
	k := len(*w)
	*w = append(*w, errNotYet)
	return func(err error) {
		if !errors.Is((*w)[k], errNotYet) {
			panic("answered twice")
		}
		(*w)[k] = err
	}
}

// leading is a leader of three that has committed an entry of its term.
func leading(t *testing.T) *rig {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	return r
}

func learner(name string) raft.Member { return raft.Member{ID: raft.NodeID(name)} }

// Two servers that join in the same moment both get in.
func TestChangesAreMadeOneAfterTheOtherInTheirOrder(t *testing.T) {
	r := leading(t)
	var w told
	r.AddLearner(learner("n8"), w.next())
	r.AddLearner(learner("n9"), w.next())
	r.RemoveServer("n8", w.next())
	r.RemoveServer("n3", w.next())
	r.Flush()
	require.Len(t, r.Raft().Configuration().Members, 4, "n8 is in the log, the others wait")
	require.Equal(t, told{errNotYet, errNotYet, errNotYet, errNotYet}, w)
	r.sync()
	r.answerFrom("n2")
	require.Equal(t, told{nil, nil, nil, nil}, w)
	var members []raft.NodeID
	for _, m := range r.Raft().Configuration().Members {
		members = append(members, m.ID)
	}
	require.Equal(t, []raft.NodeID{"n1", "n2", "n9"}, members)
}

func TestAChangeThatCannotBeIsRefusedInItsTurn(t *testing.T) {
	r := leading(t)
	var w told
	r.RemoveServer("n7", w.next())
	r.RemoveServer("n3", w.next())
	r.RemoveServer("n3", w.next())
	r.Flush()
	require.ErrorIs(t, w[0], replica.ErrUnknownMember)
	r.sync()
	r.answerFrom("n2")
	require.NoError(t, w[1])
	require.ErrorIs(t, w[2], replica.ErrUnknownMember, "it is gone by then")

	alone := newRig(t, 1)
	alone.elect()
	alone.RemoveServer("n1", w.next())
	alone.Flush()
	require.ErrorIs(t, w[3], replica.ErrLastVoter)
}

// Nothing more will be applied at its index, so nobody else would answer.
func TestAChangeThatWasMadeBeforeIsDoneAtOnce(t *testing.T) {
	r := leading(t)
	var w told
	r.AddLearner(learner("n9"), w.next())
	r.Flush()
	r.sync()
	r.answerFrom("n2")
	r.AddLearner(learner("n9"), w.next())
	r.Flush()
	require.Equal(t, told{nil, nil}, w)
}

// A leader that is too new waits for its first entry as well.
func TestAChangeWaitsForTheLeadersFirstEntry(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	var w told
	r.AddLearner(learner("n9"), w.next())
	r.Flush()
	require.Equal(t, told{errNotYet}, w)
	r.answer()
	require.Equal(t, told{nil}, w)
}

// By then nothing was done. What is in the log waits on: nobody knows its fate.
func TestAChangeThatWaitsTooLongIsNotMade(t *testing.T) {
	r := leading(t)
	var w told
	r.RemoveServer("n2", w.next()) // n3, the other one of two, does not store it
	r.Flush()
	r.sync()
	r.AddLearner(learner("n9"), w.next())
	heartbeat := func() {
		r.Tick()
		r.Flush()
		for _, c := range r.transport.appends {
			if c.to == "n3" && len(c.args.Entries) == 0 {
				c.done(raft.AppendEntriesReply{Term: 2, Success: true}, nil)
			}
		}
		r.transport.appends = nil
		r.Flush()
	}
	for range 199 {
		heartbeat()
	}
	require.Equal(t, told{errNotYet, errNotYet}, w)
	heartbeat()
	require.Equal(t, raft.Leader, r.Raft().State())
	require.Equal(t, errNotYet, w[0])
	require.ErrorIs(t, w[1], replica.ErrConfigurationBusy)
	require.Len(t, r.Raft().Configuration().Members, 2)
}

// In the log: unknown. Still waiting: not done.
func TestWhatALostLeadershipMeansForAChange(t *testing.T) {
	r := leading(t)
	var w told
	r.AddLearner(learner("n8"), w.next())
	r.AddLearner(learner("n9"), w.next())
	r.Flush()
	r.appendEntries(entries(3, 2, 2, "y"))
	require.ErrorIs(t, w[0], replica.ErrOutcomeUnknown)
	require.ErrorIs(t, w[1], replica.ErrNotLeader)
	r.RemoveServer("n3", w.next())
	require.ErrorIs(t, w[2], replica.ErrNotLeader)
}

// Also if it is lost in the batch in which the change was asked for.
func TestAChangeIsNotMadeByALeaderThatWasJustDeposed(t *testing.T) {
	r := leading(t)
	var w told
	r.AddLearner(learner("n9"), w.next())
	r.AppendEntries(entries(3, 2, 2, "y"), func(raft.AppendEntriesReply) {})
	r.Flush()
	require.ErrorIs(t, w[0], replica.ErrNotLeader)
}

func TestCloseAnswersChangesAndTransfers(t *testing.T) {
	r := leading(t)
	var w told
	r.AddLearner(learner("n8"), w.next())
	r.AddLearner(learner("n9"), w.next())
	r.Flush()
	r.TransferLeadership("n2", w.next())
	r.Close()
	require.ErrorIs(t, w[0], replica.ErrOutcomeUnknown)
	require.ErrorIs(t, w[1], replica.ErrStopped)
	require.ErrorIs(t, w[2], replica.ErrStopped)
	r.RemoveServer("n3", w.next())
	r.TransferLeadership("n2", w.next())
	require.ErrorIs(t, w[3], replica.ErrStopped)
	require.ErrorIs(t, w[4], replica.ErrStopped)
}

func TestTooManyChangesAreRefused(t *testing.T) {
	r := leading(t)
	var w told
	for k := range 64 {
		r.AddLearner(learner(fmt.Sprint("x", k)), w.next())
	}
	r.AddLearner(learner("n9"), w.next())
	require.ErrorIs(t, w[64], replica.ErrConfigurationBusy)
	require.Equal(t, errNotYet, w[63])
}

// Its own removal is done, and it says so, before it is a follower that knows nothing.
func TestALeaderThatRemovesItselfAnswersThatItIsDone(t *testing.T) {
	r := leading(t)
	var w told
	var wrote error = errNotYet
	r.Propose([]byte("x"), func(_ replica.Result, err error) { wrote = err })
	r.RemoveServer("n1", w.next())
	r.AddLearner(learner("n9"), w.next())
	r.Flush()
	r.sync()
	r.answer()
	require.NoError(t, wrote, "it was in the log before")
	require.NoError(t, w[0])
	require.ErrorIs(t, w[1], replica.ErrNotLeader, "the next leader may do that")
	require.Equal(t, raft.Follower, r.Raft().State())
	require.Len(t, r.transport.timeouts, 1)
	require.Equal(t, raft.Index(4), r.Raft().RemovedAt())
}

// --- Whom the transport knows ---

// A server that was removed is called until it knows, and then no more.
func TestTheTransportReachesARemovedServerUntilItKnows(t *testing.T) {
	r := leading(t)
	var w told
	r.RemoveServer("n3", w.next())
	r.Flush()
	r.sync()
	r.answerFrom("n2")
	require.Equal(t, told{nil}, w)
	newest := func() []raft.Member {
		return r.transport.configurations[len(r.transport.configurations)-1].Members
	}
	require.Len(t, newest(), 3)
	for range 3 {
		r.Tick()
		r.Flush()
		r.answer() // n3 too
	}
	r.Tick()
	r.Flush()
	require.Len(t, newest(), 2)
	before := len(r.transport.configurations)
	r.tick(20)
	require.Len(t, r.transport.configurations, before, "once is enough")
}

// --- Hand-over ---

func TestATransferIsDoneWhenAnotherLeads(t *testing.T) {
	r := leading(t)
	var w told
	r.TransferLeadership("n2", w.next())
	r.TransferLeadership("", w.next())
	r.Flush()
	require.Equal(t, told{errNotYet, errNotYet}, w)
	require.Equal(t, raft.NodeID("n2"), r.transport.timeouts[0].to)
	var refused error
	r.Propose([]byte("x"), func(_ replica.Result, err error) { refused = err })
	require.ErrorIs(t, refused, replica.ErrNotLeader)
	r.transport.timeouts[0].done(raft.TimeoutNowReply{Term: 3}, nil)
	r.Flush()
	require.Equal(t, told{nil, nil}, w)
}

// What counts is that this server need not lead any more.
func TestATransferIsDoneAlsoIfTheLeadershipIsLostOtherwise(t *testing.T) {
	r := leading(t)
	var w told
	r.TransferLeadership("n2", w.next())
	r.Flush()
	r.appendEntries(entries(7, 2, 2))
	require.Equal(t, told{nil}, w)
}

// nearlyGivenUp is a leader that has told n3 to lead, and heard nothing, for an election
// timeout but one tick.
func nearlyGivenUp(t *testing.T, w *told) *rig {
	r := leading(t)
	r.TransferLeadership("n3", w.next())
	r.Flush()
	r.transport.timeouts[0].done(raft.TimeoutNowReply{}, errors.New("unreachable"))
	r.tick(19)
	return r
}

// What became of the first one must not be told of the second one's end: the other server was
// told to lead by the first, and may be late.
func TestATransferThatIsGivenUpIsAnsweredBeforeTheNextBegins(t *testing.T) {
	var w told
	r := nearlyGivenUp(t, &w)
	r.Tick() // it is given up, and in the same batch
	r.TransferLeadership("n2", w.next())
	require.ErrorIs(t, w[0], replica.ErrOutcomeUnknown)
	require.Equal(t, errNotYet, w[1])
}

func TestATransferThatTakesTooLongIsGivenUp(t *testing.T) {
	var w told
	r := nearlyGivenUp(t, &w)
	require.Equal(t, told{errNotYet}, w)
	require.Greater(t, len(r.transport.timeouts), 1, "it was asked again")
	r.tick(1)
	require.ErrorIs(t, w[0], replica.ErrOutcomeUnknown, "it was told, and may be late")
	require.Equal(t, raft.Leader, r.Raft().State())
	r.write("x")

	r.Propose([]byte("y"), func(replica.Result, error) {})
	r.TransferLeadership("n3", w.next())
	r.Flush()
	r.tick(20)
	require.ErrorIs(t, w[1], replica.ErrNoTransfer, "it lacks y, and was not told")
}

func TestATransferThatCannotBeIsRefusedAtOnce(t *testing.T) {
	r := newRig(t, 3)
	var w told
	r.TransferLeadership("n2", w.next())
	require.ErrorIs(t, w[0], replica.ErrNotLeader)
	r.elect()
	r.TransferLeadership("n7", w.next())
	require.ErrorIs(t, w[1], replica.ErrUnknownMember)
	r.TransferLeadership("n1", w.next())
	require.NoError(t, w[2], "it leads already")
}

func TestNobodyHearsOfATransferAfterTheEnd(t *testing.T) {
	r := leading(t)
	var err error
	r.TransferLeadership("n2", func(e error) { err = e })
	r.Flush()
	r.Close()
	require.ErrorIs(t, err, replica.ErrOutcomeUnknown, "it was told to lead")
	r.transport.timeouts[0].done(raft.TimeoutNowReply{Term: 9}, nil)
	require.Equal(t, raft.Term(2), r.Raft().Term())
}

// Its answer says that the election has begun, so it waits for the vote to be durable.
func TestTheReplyToTimeoutNowWaitsForTheOwnVote(t *testing.T) {
	r := newRig(t, 3)
	var got raft.TimeoutNowReply
	r.TimeoutNow(raft.TimeoutNowArgs{Term: 1, LeaderID: "n2"}, func(rep raft.TimeoutNowReply) { got = rep })
	r.Flush()
	require.Equal(t, raft.Candidate, r.Raft().State())
	require.Zero(t, got)
	require.Empty(t, r.transport.votes)
	r.sync()
	require.Equal(t, raft.TimeoutNowReply{Term: 2}, got)
	require.Len(t, r.transport.votes, 2)
}
