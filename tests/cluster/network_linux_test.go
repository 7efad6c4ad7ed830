package cluster

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
)

// Addresses on the bridge. The clients are at the bridge's own, and are never cut off.
const (
	clientsAddress = "10.77.0.254"
	httpPort       = 8221
	raftPort       = 2221
)

func nodeAddress(k int) string { return fmt.Sprintf("10.77.0.%d", k+1) }

// network is a bridge, and a network namespace at it for each node.
type network struct {
	nodes int
	// What the kernel can do: "" if it cannot.
	loses string // how packets are lost
	slows string // how links become slow
}

func namespace(k int) string { return fmt.Sprintf("node%d", k+1) }

// newNetwork needs mounts and a network that nobody else has. An error says what the
// machine lacks.
func newNetwork(nodes int) (*network, error) {
	n := &network{nodes: nodes}
	// "ip netns" names namespaces by mounts in /run/netns.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("mounts of its own: %w", err)
	}
	if err := syscall.Mount("none", "/run", "tmpfs", 0, ""); err != nil {
		return nil, fmt.Errorf("a /run of its own: %w", err)
	}
	commands := []string{
		"ip link set lo up",
		"ip link add bridge type bridge",
		"ip address add " + clientsAddress + "/24 dev bridge",
		"ip link set bridge up",
	}
	for k := range nodes {
		ns := namespace(k)
		commands = append(commands,
			"ip netns add "+ns,
			fmt.Sprintf("ip link add to-%s type veth peer name eth0 netns %s", ns, ns),
			fmt.Sprintf("ip link set to-%s master bridge up", ns),
			fmt.Sprintf("ip -n %s address add %s/24 dev eth0", ns, nodeAddress(k)),
			fmt.Sprintf("ip -n %s link set lo up", ns),
			fmt.Sprintf("ip -n %s link set eth0 up", ns))
	}
	for _, c := range commands {
		if err := execute(c, ""); err != nil {
			return nil, err
		}
	}
	return n, n.findTools()
}

// findTools tries what the kernel can do, on a node that nobody speaks to yet.
func (n *network) findTools() error {
	if err := n.filter(0, []int{1}, 0); err != nil {
		return err
	}
	if n.filter(0, nil, 10) == nil {
		n.loses = filterTool()
	}
	for _, how := range []string{slowByDelay, slowByRate} {
		if n.slow(0, how) == nil {
			n.slows = how
			if err := n.fast(0); err != nil {
				return err
			}
			break
		}
	}
	return n.filter(0, nil, 0)
}

// Links become slow by delay or, where the kernel has no netem, by their rate.
const (
	slowByDelay = "netem delay 30ms 20ms"
	slowByRate  = "tbf rate 1mbit burst 8kb latency 400ms"
)

func (n *network) slow(k int, how string) error {
	return execute(fmt.Sprintf("tc -n %s qdisc replace dev eth0 root %s", namespace(k), how), "")
}

func (n *network) fast(k int) error {
	return execute(fmt.Sprintf("tc -n %s qdisc del dev eth0 root", namespace(k)), "")
}

func filterTool() string {
	if _, err := exec.LookPath("nft"); err == nil {
		return "nft"
	}
	return "iptables-restore"
}

// filter makes node k drop, silently, what comes from some nodes, and some percent of
// what comes from the others. It takes the place of what was dropped before, at once.
func (n *network) filter(k int, from []int, percent int) error {
	run := "ip netns exec " + namespace(k) + " "
	if filterTool() == "nft" {
		return execute(run+"nft -f -", nftRules(from, percent))
	}
	return execute(run+filterTool(), iptablesRules(from, percent))
}

func nftRules(from []int, percent int) string {
	var b strings.Builder
	b.WriteString("add table ip dbdb\ndelete table ip dbdb\nadd table ip dbdb\n")
	b.WriteString("add chain ip dbdb in { type filter hook input priority 0; }\n")
	for _, peer := range from {
		fmt.Fprintf(&b, "add rule ip dbdb in ip saddr %s drop\n", nodeAddress(peer))
	}
	if percent > 0 {
		fmt.Fprintf(&b, "add rule ip dbdb in ip saddr != %s numgen random mod 100 < %d drop\n", clientsAddress, percent)
	}
	return b.String()
}

func iptablesRules(from []int, percent int) string {
	var b strings.Builder
	b.WriteString("*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n")
	for _, peer := range from {
		fmt.Fprintf(&b, "-A INPUT -s %s -j DROP\n", nodeAddress(peer))
	}
	if percent > 0 {
		fmt.Fprintf(&b, "-A INPUT ! -s %s -m statistic --mode random --probability %.2f -j DROP\n", clientsAddress, float64(percent)/100)
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// execute runs a line of words.
func execute(line, stdin string) error {
	words := strings.Fields(line)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}
