// Package kvstore is the state machine that the replicated log drives: an ordered
// map from keys to values, and the commands that change it.
//
// A command is checked before it enters the log (see Encode) and is decoded again
// when it is applied, by the same Decode. Nothing here knows about HTTP, time or
// the network, and nothing here may: every replica applies the same commands in
// the same order and must end in the same state, byte for byte (see Hash).
//
// Reading order: command.go, store.go, snapshot.go, restore.go.
//
// Caveats: everything is in memory, and while a snapshot is being written, what is
// overwritten meanwhile is there twice; so is everything between Restore and its
// install. There is no expiry, because a clock inside a state machine would let
// replicas disagree.
package kvstore
