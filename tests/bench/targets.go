package main

import (
	"fmt"
	"math"
)

// target is what dbdb shall reach: a ratio to a peer, the median over the repeats.
type target struct {
	work   string
	row    string
	metric string
	peer   string // none: the metric is dbdb's own ratio to itself
	atMost bool   // else at least
	ratio  float64
}

var targets = []target{
	{"set/s, 1 client", "set1", rate, "etcd", false, 1.5},
	{"set/s, 1 client", "set1", rate, "hashicorp", false, 2},
	{"set/s, 16 clients", "set16", rate, "etcd", false, 2.5},
	{"set/s, 16 clients", "set16", rate, "hashicorp", false, 3},
	{"set/s, 64 clients", "set64", rate, "etcd", false, 3},
	{"set/s, 64 clients", "set64", rate, "hashicorp", false, 3},
	{"set/s, 64 clients", "set64", rate, "hashicorp-memory", false, 1},
	{"set/s, 64 clients", "set64", rate, "floor", false, 0.4},
	{"set/s, 256 clients", "set256", rate, "etcd", false, 2.2},
	{"set/s, 256 clients", "set256", rate, "hashicorp", false, 2.2},
	{"set/s, 256 clients", "set256", rate, "hashicorp-memory", false, 1},
	{"set/s, 256 clients", "set256", rate, "floor", false, 0.4},
	{"get/s linearizable, 64 clients", "get64", rate, "etcd", false, 2.2},
	{"get/s linearizable, 64 clients", "get64", rate, "floor", false, 0.6},
	{"get/s linearizable, 256 clients", "get256", rate, "etcd", false, 1.8},
	{"get/s linearizable, 256 clients", "get256", rate, "floor", false, 0.6},
	{"get/s stale, 64 clients", "stale64", rate, "etcd", false, 1.9},
	{"get/s stale, 64 clients", "stale64", rate, "hashicorp", false, 0.95},
	{"get/s stale, 64 clients", "stale64", rate, "floor", false, 0.8},
	{"get/s stale, 256 clients", "stale256", rate, "etcd", false, 1.8},
	{"get/s stale, 256 clients", "stale256", rate, "hashicorp", false, 0.95},
	{"get/s stale, 256 clients", "stale256", rate, "floor", false, 0.8},
	{"server CPU per set, 64 clients", "set64", serverCPU, "etcd", true, 0.4},
	{"server CPU per set, 64 clients", "set64", serverCPU, "hashicorp", true, 0.4},
	{"server CPU per set, 64 clients", "set64", serverCPU, "hashicorp-memory", true, 1},
	{"p99 of sets, 64 clients", "set64", p99, "etcd", true, 0.5},
	{"p99 of sets, 64 clients", "set64", p99, "hashicorp", true, 0.6},
	{"longest gap after kill -9 of the leader", "kill", gap, "etcd", true, 0.5},
	{"longest gap after kill -9 of the leader", "kill", gap, "hashicorp", true, 0.5},
	{"restart until it serves", "million", restart, "etcd", true, 0.5},
	{"VmRSS per node after the fill", "million", rss, "etcd", true, 0.6},
	{"a fresh server joins and catches up", "join", join, "etcd", true, 1},
	{"a fresh server joins and catches up", "join", join, "hashicorp", true, 0.1},
	{"p99.9 of sets in a snapshot, to without", "snapshot", slowdown, "", true, 2},
}

// tie is how near to its target a ratio may be without having reached or missed it: the
// same run would have another result tomorrow.
const tie = 0.10

// verdict says in a word how a ratio stands to its target.
func (t target) verdict(ratio float64) string {
	// Otherwise 1.65 were not within ten percent of 1.5.
	const rounding = 1e-9
	switch {
	case math.Abs(ratio-t.ratio) <= tie*t.ratio+rounding:
		return "tie"
	case (ratio < t.ratio) == t.atMost:
		return "reached"
	}
	return "missed"
}

func (t target) String() string {
	sign := "≥"
	if t.atMost {
		sign = "≤"
	}
	return fmt.Sprintf("%s %g", sign, t.ratio)
}

// judgement is a target and what a run says of it.
type judgement struct {
	Work    string `json:"work"`
	Peer    string `json:"peer"`
	Metric  string `json:"metric"`
	Target  string `json:"target"`
	Ratio   spread `json:"ratio"`
	Verdict string `json:"verdict"`
}

// judge compares all targets with what was measured. What was not measured is left out.
func judge(cells []cell) (all []judgement) {
	for _, t := range targets {
		ours := values(cells, t.row, "", "dbdb", t.metric)
		var r []float64
		if t.peer == "" {
			for _, v := range ours {
				r = append(r, v)
			}
		} else {
			r = ratios(ours, values(cells, t.row, "", t.peer, t.metric))
		}
		if len(r) == 0 {
			continue
		}
		s := spreadOf(r)
		peer := t.peer
		if peer == "" {
			peer = "dbdb itself"
		}
		all = append(all, judgement{t.work, peer, t.metric, t.String(), s, t.verdict(s.Median)})
	}
	return all
}
