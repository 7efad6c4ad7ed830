// Package scripts plays Raft by hand, in transcripts that are read like a book: one idea a
// file, numbered in the order of the paper. A command, then four dashes, then exactly what
// happened. The servers are real — core, replica, log on a disk, state machine — and the
// oracles of package sim watch every step; at the end of each script all faults end, and
// the cluster has to recover.
//
//	n2 ⇐ n1  AppendEntries term 2, …   n2 receives it from n1
//	  n2@2 follower appends up to 2@2  [AE-4]
//	                                   a transition of n2, in term 2, by rule 4 of AppendEntries
//	  n2 saves entries 2@2             what it hands to its disk
//	n2 → n1  AppendEntriesReply …      a message leaves, and lies in the bag
//	n2 ⇥ n1  …                         a message is lost
//
// 2@2 is index 2, term 2. The commands are in commands_test.go; what follows the word quietly,
// or has it at its end, happens without being told. To write a script, add commands with
// `----` below, and run
//
//	go test ./tests/scripts -rewrite
//
// then read what it says: a transcript that was not understood proves nothing. To stop in
// a debugger, put the command `breakpoint` into a script and a breakpoint on the function.
package scripts
