package cluster

import "math/bits"

// links says who drops whose packets: links[to][from].
type links [][]bool

func newLinks(nodes int) links {
	cut := make(links, nodes)
	for k := range cut {
		cut[k] = make([]bool, nodes)
	}
	return cut
}

// oneWay cuts what from sends to to.
func (cut links) oneWay(from, to int) { cut[to][from] = true }

func (cut links) both(a, b int) {
	cut.oneWay(a, b)
	cut.oneWay(b, a)
}

// deaf cuts all that k would hear, mute all that it says.
func (cut links) deaf(k int) {
	for other := range cut {
		if other != k {
			cut.oneWay(other, k)
		}
	}
}

func (cut links) mute(k int) {
	for other := range cut {
		if other != k {
			cut.oneWay(k, other)
		}
	}
}

func (cut links) isolate(k int) {
	cut.deaf(k)
	cut.mute(k)
}

// halves cuts between the first few of an order and the rest.
func (cut links) halves(order []int, first int) {
	for _, a := range order[:first] {
		for _, b := range order[first:] {
			cut.both(a, b)
		}
	}
}

// bridge leaves two halves that hear each other only through the first of an order.
func (cut links) bridge(order []int) {
	cut.halves(order[1:], len(order)/2)
}

// ring leaves to each node its two neighbours: of five, every node is in a majority, and
// each in another. Of three, one link is cut, or it would be whole.
func (cut links) ring(order []int) {
	n := len(order)
	for i := range n {
		for j := range i {
			if d := i - j; d != 1 && d != n-1 || n == 3 && d == n-1 {
				cut.both(order[i], order[j])
			}
		}
	}
}

// and has the cuts of both.
func (cut links) and(more links) links {
	both := newLinks(len(cut))
	for to := range cut {
		for from := range cut {
			both[to][from] = cut[to][from] || more[to][from]
		}
	}
	return both
}

// from lists whom k does not hear.
func (cut links) from(k int) (nodes []int) {
	for other, dropped := range cut[k] {
		if dropped {
			nodes = append(nodes, other)
		}
	}
	return nodes
}

// majority says whether some majority of the nodes is alive and all of it hear each
// other, so that nothing may keep it from going on.
func (cut links) majority(alive []bool) bool {
	for set := range uint(1) << len(cut) {
		if bits.OnesCount(set) > len(cut)/2 && cut.whole(set, alive) {
			return true
		}
	}
	return false
}

func (cut links) whole(set uint, alive []bool) bool {
	for a := range cut {
		if set>>a&1 == 0 {
			continue
		}
		if !alive[a] {
			return false
		}
		for b := range cut {
			if set>>b&1 == 1 && cut[a][b] {
				return false
			}
		}
	}
	return true
}
