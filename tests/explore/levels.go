package explore

// Levels are the bounds that `make explore` proves, the smaller first. Where pre-vote and
// check-quorum are not named, they are off: they make fewer things happen, and more states.
//
// The first group has asynchronous messages: they overtake each other, and everything else
// happens between them. The second gets deeper, as a request, what is made durable for it, and
// the answer are one step. The third has five servers, of which few do anything.
var Levels = []Level{
	{Name: "elections", Voters: 3, Terms: 3, InFlight: 2},
	{Name: "late", Voters: 3, Terms: 2, Log: 1, InFlight: 2, Late: true},
	{Name: "disks", Voters: 3, Terms: 3, InFlight: 1, Restarts: 1, SlowDisks: true},
	{Name: "figure-8", Voters: 3, Terms: 5, InFlight: 1, Atomic: true},
	{Name: "even", Voters: 4, Terms: 3, InFlight: 3, Atomic: true},
	{Name: "pre-vote", Voters: 3, Terms: 2, Log: 1, InFlight: 2, PreVote: true},
	{Name: "check-quorum", Voters: 3, Terms: 2, InFlight: 2, PreVote: true, CheckQuorum: true},

	{Name: "restart", Voters: 3, Terms: 2, Log: 1, InFlight: 3, Restarts: 1, SlowDisks: true},
	{Name: "three-elections", Voters: 3, Terms: 4, InFlight: 2},
	{Name: "terms", Voters: 3, Terms: 3, Log: 2, InFlight: 2},

	{Name: "add", Voters: 2, Spares: 1, Terms: 3, Log: 2, Changes: 1, InFlight: 2, Atomic: true},
	{Name: "remove", Voters: 3, Terms: 3, Log: 1, Changes: 1, InFlight: 2, Atomic: true},
	{Name: "two-changes", Voters: 3, Terms: 2, Log: 2, Changes: 2, InFlight: 2, Atomic: true},
	{Name: "change", Voters: 3, Spares: 1, Terms: 3, Log: 1, Changes: 1, InFlight: 2, Atomic: true, Campaigning: []int{1, 2}},
	{Name: "transfer", Voters: 3, Terms: 3, Log: 1, Wishes: 1, InFlight: 2, Atomic: true},
	{Name: "snapshot", Voters: 3, Terms: 2, Log: 2, Restarts: 1, InFlight: 2, Atomic: true, Compacting: []int{1}, Chunks: 2},
	{Name: "snapshots", Voters: 3, Terms: 3, Log: 1, InFlight: 2, Atomic: true, Compacting: []int{1, 2, 3}},

	{Name: "five", Voters: 5, Terms: 3, InFlight: 2, Atomic: true, Campaigning: []int{1, 5}, Restarts: 1, Restarting: []int{1}},
}

// LevelOf finds a level by its name.
func LevelOf(name string) (Level, bool) {
	for _, l := range Levels {
		if l.Name == name {
			return l, true
		}
	}
	return Level{}, false
}
