// Package explore visits every state that a small cluster can get into: within bounds, all
// that can happen does, in every order. The simulator draws long runs by chance; this is about
// short ones, and leaves none out. A level (levels.go) names the bounds. A level that is
// complete is a claim: within these bounds no promise is broken.
//
//	make explore                                             all levels
//	make explore LEVEL=figure-8                              one
//	go test ./tests/explore -run TestExplore -level=terms -budget=1m -v
//	go test ./tests/explore -run TestExplore -level=disks -stage -v    and then play it
//	go test ./tests/explore -run TestExplore -level=disks -spec -v     held to package spec
//
// What is explored is the core that ships, raft.Raft, through its methods and Effects. Around
// it is a driver (step.go) that does what package replica does, and nothing else: it holds
// back what waits for the disk. That the driver is right is tested by playing its paths on
// a stage of package sim, where everything is real (play_test.go). With -stage, that is done
// for each different step that a server takes in a level, by the shortest path to it: what was
// found of the core then holds of the replica, its log and its store as well.
//
// The core is a pure value. So a server in one state has, for one input, one outcome, and all
// that is needed of it is found out once (space.outcome): what it becomes, what it sends, and
// whether it broke a promise by itself (oracles.go). A state of the world is a handful of
// numbers, one for each server's state and for each message under way, and a step is a few
// look-ups. What no server knows by itself, a ghost keeps: who led which term and what was
// committed; the promises about that are checked at each step (ghost.go).
//
// What is abstract:
//
//   - Time. Timers may run out whenever they can.
//   - Loss. A message that will never arrive is lost when it is sent: nobody notices the
//     difference. So only those that will arrive are under way, and are bounded. The caller of
//     one that is lost knows it at once; it sends entries again with its next heartbeat.
//   - Crashes. A server that is down is one to which nothing happens, so a start follows at
//     once. What is not durable is gone.
//   - Commands. All are alike: an index and a term tell them apart.
//
// Two states are one if they differ only in who is who, as far as the level treats servers
// alike (symmetries), or in messages that nobody will react to (dead.go). A state is remembered
// by 64 bits; see set for how likely it is that two are mixed up.
//
// A broken promise comes out as the shortest script of tests/scripts that leads to it.
package explore
