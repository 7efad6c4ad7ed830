package httpapi

import (
	"fmt"
	"strings"

	"dbdb/raft"
)

// Quorum counts the voters that a node can reach, itself included, and names the
// others with their Raft addresses: "node2 (localhost:2222), node3 (…)".
func Quorum(info Info, reachable func(raft.NodeID) bool) (have, voters int, missing string) {
	var names []string
	for _, m := range info.Configuration.Members {
		if m.Role != raft.Voter {
			continue
		}
		voters++
		if m.ID == info.ID || reachable(m.ID) {
			have++
			continue
		}
		names = append(names, fmt.Sprintf("%s (%s)", m.Name(), m.RaftAddr))
	}
	return have, voters, strings.Join(names, ", ")
}

// noLeaderDetail tells the operator which voters to look at: "it hangs" is nearly
// always a node that was not started.
func (s *Server) noLeaderDetail() string {
	info := s.backend.Info()
	have, voters, missing := Quorum(info, s.backend.Reachable)
	if missing == "" {
		return fmt.Sprintf("%s can reach %d of %d voters; no leader is elected yet", info.Name, have, voters)
	}
	return fmt.Sprintf("%s can reach %d of %d voters; not reachable: %s", info.Name, have, voters, missing)
}
