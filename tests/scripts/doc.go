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
//	  client: set x=1 at n1: done at 3 what a client, or the operator, is told
//
// 2@2 is index 2, term 2; 0@0 is the place before the first entry. A Heartbeat is an
// AppendEntries without entries. The rules are listed, each with its section of the paper,
// in Rules of package raft: A-2 is the second of Figure 2's rules for all servers, F-2 of
// those for followers.
//
// Nothing happens by itself: timers run out, messages arrive and get lost, and disks write when
// a command says so (a disk that is not slow writes at once). The commands, and how messages
// are selected, are in script_commands.go of package sim; what follows the word quietly, or
// has it at its end, happens without being told.
//
// To write a script, put commands with `----` below into a numbered file of a numbered
// folder, as 99-mine/01-try.txt:
//
//	# What it shows.
//	cluster 3
//	----
//
//	timeout n1
//	----
//
//	settle
//	----
//
// and run
//
//	go test ./tests/scripts -rewrite
//
// then read what it says: a transcript that was not understood proves nothing. With -lanes -v
// instead of -rewrite, what happens is drawn, a lane for each server. To stop in
// a debugger, put the command `breakpoint` into the script, and break there first, then at
// any function of the core:
//
//	$ dlv test ./tests/scripts -- -test.run TestScripts/99-mine/01
//	(dlv) break sim.breakpoint
//	(dlv) continue
//	(dlv) break raft.(*Raft).becomeLeader
//	(dlv) continue
package scripts
