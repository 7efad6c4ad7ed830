package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"

	"dbdb/raft"
)

// JoinRequest is the body of POST /join: how a node asks to become a member.
type JoinRequest struct {
	ID       string `json:"id"`       // the operator's --node-id
	Instance string `json:"instance"` // the random suffix of its data directory
	Cluster  string `json:"cluster"`  // the cluster that its data belongs to, or ""
	RaftAddr string `json:"raftAddr"` // host:port where the others reach it
	HTTPAddr string `json:"httpAddr"`
}

// NodeID is what the node is called inside Raft.
func (j JoinRequest) NodeID() raft.NodeID { return raft.NewNodeID(j.ID, j.Instance) }

var (
	// NodeNamePattern is what a --node-id may be: it becomes a directory's name.
	NodeNamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	instancePattern = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)
	clusterPattern  = regexp.MustCompile(`^[0-9a-f]{0,64}$`)
)

// join answers POST /join.
func (s *Server) join(w http.ResponseWriter, r *http.Request) *failure {
	body, release, f := s.body(w, r)
	if f != nil {
		return f
	}
	defer release()
	j, f := parseJoin(body.Bytes())
	if f != nil {
		return f
	}
	// Every member knows its cluster, so this needs no leader.
	if f := s.refuseOtherCluster(j); f != nil {
		return f
	}
	var refused *failure
	f = s.atLeader(w, r, leaderCall{body: body.Bytes(), here: func(ctx context.Context) error {
		if refused = s.refuseJoin(j); refused != nil {
			return nil
		}
		return s.joinHere(ctx, w, j)
	}})
	if refused == nil && f != nil && f.Code == noLeader.Code {
		// Of two voters the other one was wiped, and asks: there is no leader and there
		// will be none. To wait for one would hide the reason.
		refused = refuseName(s.backend.Info(), j)
	}
	if refused != nil {
		return refused
	}
	return f
}

func (s *Server) joinHere(ctx context.Context, w http.ResponseWriter, j JoinRequest) error {
	m := raft.Member{ID: j.NodeID(), Role: raft.Learner, RaftAddr: j.RaftAddr, HTTPAddr: j.HTTPAddr}
	if err := s.backend.AddLearner(ctx, m); err != nil {
		return err
	}
	s.writeMembers(w)
	return nil
}

func parseJoin(body []byte) (JoinRequest, *failure) {
	m, f := decodeMembers(body, "id", "instance", "cluster", "raftAddr", "httpAddr")
	if f != nil {
		return JoinRequest{}, f
	}
	j := JoinRequest{
		ID: string(m[0].value), Instance: string(m[1].value), Cluster: string(m[2].value),
		RaftAddr: string(m[3].value), HTTPAddr: string(m[4].value),
	}
	switch {
	case !NodeNamePattern.MatchString(j.ID):
		return j, invalidJoiner.because("id must match %s", NodeNamePattern)
	case !instancePattern.MatchString(j.Instance):
		return j, invalidJoiner.because("instance must match %s", instancePattern)
	case !clusterPattern.MatchString(j.Cluster):
		return j, invalidJoiner.because("cluster must match %s", clusterPattern)
	case ValidAddress(j.RaftAddr) != nil:
		return j, invalidJoiner.because("raftAddr must be host:port")
	case ValidAddress(j.HTTPAddr) != nil:
		return j, invalidJoiner.because("httpAddr must be host:port")
	}
	return j, nil
}

// hostPattern is what may stand before a port: a DNS name or an IPv4 address.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// ValidHost says whether host is a name or an address, without a port.
func ValidHost(host string) error {
	ip, err := netip.ParseAddr(host)
	if ip.Zone() != "" || err != nil && (len(host) > 255 || !hostPattern.MatchString(host)) {
		return fmt.Errorf("%q is no host name", shorten(host))
	}
	return nil
}

// ValidAddress says whether addr is a host and a port that can be connected to.
func ValidAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || len(addr) > raft.MaxAddrBytes {
		return fmt.Errorf("%q is not host:port", shorten(addr))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q has no port between 1 and 65535", shorten(addr))
	}
	return ValidHost(host)
}

// refuseOtherCluster refuses a node whose data belongs elsewhere. Two clusters are
// never merged, and no data is overwritten silently (etcd#12227).
func (s *Server) refuseOtherCluster(j JoinRequest) *failure {
	ours := s.backend.Info().Cluster
	if ours == "" || j.Cluster == "" || j.Cluster == ours {
		return nil
	}
	return otherCluster.because("%s", OtherCluster(j.ID, "./data/"+j.ID, j.Cluster, ours))
}

// OtherCluster is the sentence for a node that wants to join ours with data of theirs.
func OtherCluster(name, dir, theirs, ours string) string {
	return fmt.Sprintf("%s already belongs to cluster %s; delete %s to join %s", name, ShortCluster(theirs), dir, ShortCluster(ours))
}

// ShortCluster abbreviates a cluster id for people.
func ShortCluster(id string) string {
	if len(id) <= 4 {
		return id
	}
	return id[:4] + "…"
}

// refuseJoin is the leader's part of the identity rules.
func (s *Server) refuseJoin(j JoinRequest) *failure {
	info := s.backend.Info()
	if f := refuseName(info, j); f != nil {
		return f
	}
	_, comesBack := info.Configuration.Member(j.NodeID())
	for _, m := range info.Configuration.Members {
		if m.ID == j.NodeID() || m.RaftAddr != j.RaftAddr && m.HTTPAddr != j.HTTPAddr {
			continue
		}
		// Members may have exchanged addresses, as containers do: whoever does not answer
		// at the old one will tell us its new one.
		if !comesBack || m.ID == info.ID || s.backend.Reachable(m.ID) {
			return addressTaken.because("%s (%s) has the address of %s, which is a member: give %s other ports or another --advertise-host", j.ID, j.RaftAddr, m.Name(), j.ID)
		}
	}
	if m, known := info.Configuration.Member(j.NodeID()); known {
		return s.refuseCopy(m, j)
	}
	self, _ := info.Configuration.Member(info.ID)
	if host, elsewhere := elsewhere(self.RaftAddr, j.RaftAddr); elsewhere {
		return leaderUnreachable.because("%s advertises %s, which %s (%s) cannot reach: restart %s with --advertise-host <name>",
			info.Name, self.RaftAddr, j.ID, host, info.Name)
	}
	return nil
}

// refuseCopy lets a member come back, also under a new address, but not while it
// still answers under the old one: then its directory was copied, and two processes
// would vote and acknowledge as one server. The port tells two processes on one
// machine apart; the host does not, as one machine has many names. A copy on another
// machine, under the same port, is not seen here.
func (s *Server) refuseCopy(m raft.Member, j JoinRequest) *failure {
	_, oldPort, _ := net.SplitHostPort(m.RaftAddr)
	_, newPort, _ := net.SplitHostPort(j.RaftAddr)
	if oldPort != newPort && m.ID != s.backend.Info().ID && s.backend.Reachable(m.ID) {
		return usedTwice.because("%s still answers at %s: is its data directory used twice? Stop that one before it is started at %s", j.ID, m.RaftAddr, j.RaftAddr)
	}
	return nil
}

// refuseName refuses a node that has a member's name but not its data. A server
// that lost its data lost its vote with it: as the same member it could vote twice
// in one term.
func refuseName(info Info, j JoinRequest) *failure {
	for _, m := range info.Configuration.Members {
		if m.Name() == j.ID && m.ID != j.NodeID() {
			return nameTaken.because("%s is already a member with other data (was its directory deleted?). Run: dbdb members remove %s", j.ID, j.ID)
		}
	}
	return nil
}

// elsewhere says whether a leader at a loopback address cannot be reached by a
// joiner, because that one is not at a loopback address.
func elsewhere(leader, joiner string) (host string, yes bool) {
	leaderHost, _, _ := net.SplitHostPort(leader)
	host, _, _ = net.SplitHostPort(joiner)
	return host, IsLoopback(leaderHost) && !IsLoopback(host)
}

// IsLoopback says whether a host means "this machine" to whoever uses it.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// writeJSON answers with a value that is not on a hot path.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always marshal
	}
	h := w.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = jsonType, noStore, noSniff
	body = append(body, '\n')
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
