package sim

import "dbdb/raft"

// The storm of promotions tells how a learner comes to be the only server that can win an
// election (thesis §4.2.1, §4.2.2; "Why it is safe", rules 12 and 13): a leader makes it a voter,
// and nobody hears of that; the next leader's first entry takes the same place, and reaches the
// learner alone; then that leader's machine burns down. The first one needs the learner's vote,
// which has the newer log, and the others need the vote of the first one, which has a newer log
// than they.

// promotion is one attempt to tell the story.
type promotion struct {
	learner, promoter *node
}

// longestPromotion is when an attempt is given up: a few elections.
const longestPromotion = 6 * longest

// drawPromotions makes some of the runs without another storm into this one. Three servers are
// founders: of more, those that are left when one burns are enough for the first leader to win
// without the learner.
func (p *profile) drawPromotions(r chance) {
	if p.storm != noStorm || r.IntN(15) > 0 {
		return
	}
	p.storm = promotions
	p.nodes, p.founders, p.growth = 4+r.IntN(2), 3, growsInFire
	p.decayEvery, p.decays, p.coreOnly = 0, 1+r.IntN(3), false
	p.partitionEvery, p.allCrashEvery, p.holdReplies = 0, 0, false
	p.delayMean = min(p.delayMean, 10*millisecond)
	p.loss = min(p.loss, 50)
}

// joins keeps a server that is added away from the others for a moment, until all know that it
// is a learner.
func (w *world) joins(n *node) {
	if w.profile.storm != promotions || w.calm || w.promotion != nil || w.check.isMember(n.id) || w.rare.IntN(3) == 0 {
		return
	}
	w.isolate(n)
	w.whileItBurns(w.rare.between(50, 600)*millisecond, func() {
		if w.promotion == nil {
			w.network.mend()
		}
	})
}

// promotes cuts a leader off that makes a learner a voter, before anybody hears of that.
func (w *world) promotes(leader *node, learner raft.NodeID) {
	if w.profile.storm != promotions || w.calm || w.promotion != nil || w.rare.IntN(4) == 0 {
		return
	}
	attempt := &promotion{w.find(learner), leader}
	w.promotion = attempt
	w.at(0, func() { w.isolate(leader) })
	w.whileItBurns(longestPromotion, func() { w.ends(attempt) })
}

// leadsAfter leaves a leader that was elected without having heard of the promotion nobody but
// the learner, until that holds the leader's first entry.
func (w *world) leadsAfter(leader *node) {
	attempt := w.promotion
	if attempt == nil || w.calm || leader == attempt.promoter || leader.view.Configuration.IsVoter(attempt.learner.id) {
		return
	}
	w.isolate(leader)
	w.connect(leader, attempt.learner)
	w.awaitsEntry(attempt, leader, leader.view.Term)
}

// awaitsEntry burns the leader when the learner holds its first entry.
func (w *world) awaitsEntry(attempt *promotion, leader *node, term raft.Term) {
	w.inLife(tickPeriod/2, leader, func() {
		switch d := &attempt.learner.lasting.durable; {
		case w.calm || w.promotion != attempt || leader.view.State != raft.Leader || leader.view.Term != term:
		case d.at(d.last()).term != term:
			w.awaitsEntry(attempt, leader, term)
		default:
			w.burn(leader)
			w.ends(attempt)
		}
	})
}

// ends lets everybody hear each other again.
func (w *world) ends(attempt *promotion) {
	if w.promotion == attempt {
		w.promotion = nil
		w.network.mend()
	}
}

// burn destroys a machine, if the others can do without. The operator exchanges it.
func (w *world) burn(n *node) {
	if w.decays >= w.profile.decays || !w.mayDecay(n) {
		return
	}
	w.marks.hit(markBurnt)
	w.note(decayed, n, 7, 0, 0, 0)
	n.crash(edgeAny)
	w.decays++
	n.damaged = n.disk.Files()
	n.isLost()
}
