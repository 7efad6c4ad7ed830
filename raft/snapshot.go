package raft

// Snapshot says what a snapshot of the state machine covers (§7, Figure 13; thesis
// Figure 5.3). The state itself is a file that the core never sees.
type Snapshot struct {
	Index Index // lastIncludedIndex: the snapshot replaces all entries through it
	Term  Term  // lastIncludedTerm
	// Configuration is the latest one up to Index, and ConfigurationIndex is where it
	// was in the log. A snapshot without it would forget who the members are
	// (async-raft#133).
	Configuration      Configuration
	ConfigurationIndex Index
}
