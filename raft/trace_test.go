package raft

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryRuleHasATextAndASection(t *testing.T) {
	source, err := os.ReadFile("trace.go")
	require.NoError(t, err)
	texts := map[Rule]RuleText{}
	for _, r := range Rules() {
		require.NotContains(t, texts, r.Rule)
		require.NotEmpty(t, r.Text)
		require.NotEmpty(t, r.Where)
		texts[r.Rule] = r
	}
	declared := regexp.MustCompile(`(?m)^\tRule\w+ +Rule = "(.+)"$`).FindAllSubmatch(source, -1)
	require.Len(t, declared, len(texts))
	for _, d := range declared {
		require.Contains(t, texts, Rule(d[1]))
	}
}

func TestATransitionIsToldWithItsRule(t *testing.T) {
	var told []string
	s := start(t, Config{Tracer: func(e Event) { told = append(told, e.String()) }}, Restored{Term: 1, Entries: logOf(members(3), 1)})
	s.HandleRequestVote(vote(2, 1, 1))
	require.Equal(t, []string{
		"n1@1 follower M-1 1@1",
		"n1@2 follower A-2 0@2",
		"n1@2 follower RV-2 n2 1@1",
	}, told)
	require.Equal(t, "pre-candidate", PreCandidate.String())
	require.Equal(t, "learner", Learner.String())
	require.Equal(t, "3@2", Entry{Index: 3, Term: 2}.String())
}
