package main

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sample run: two repeats of one row, and one row of which there is nothing.
func someReport(t *testing.T) report {
	picked, err := pickRows("set64,kill")
	require.NoError(t, err)
	b := &bench{options: options{keys: 1000}, rows: picked, commands: map[string]string{"dbdb": "dbdb --node-id <1> & more"}}
	for _, name := range []string{"dbdb", "etcd"} {
		p, err := peerNamed(name)
		require.NoError(t, err)
		b.peers = append(b.peers, p)
	}
	b.cells = []cell{
		{Row: "set64", Peer: "dbdb", Repeat: 1, Metrics: metrics{rate: 20000, p99: 1}},
		{Row: "set64", Peer: "etcd", Repeat: 1, Metrics: metrics{rate: 5000, p99: 4}},
		{Row: "set64", Peer: "dbdb", Repeat: 2, Metrics: metrics{rate: 10000, p99: 2}},
		{Row: "set64", Peer: "etcd", Repeat: 2, Metrics: metrics{rate: 2000, p99: 8}},
	}
	return b.report()
}

func TestTheTableHasMediansSpreadsAndRatios(t *testing.T) {
	var out strings.Builder
	someReport(t).writeText(&out)
	for _, line := range []string{
		`dbdb +15,000 \(10,000–20,000\) +1\.50 \(1\.00–2\.00\) +– +0 +0`,
		`etcd +3,500 \(2,000–5,000\) +6\.00 \(4\.00–8\.00\) +4\.50 \(4\.00–5\.00\) +0 +0`,
		`set/s, 64 clients +etcd +≥ 3 +4\.50 +\(4\.00–5\.00\) +reached`,
		`p99 of sets, 64 clients +etcd +≤ 0\.5 +0\.25 +\(0\.25–0\.25\) +reached`,
	} {
		assert.Regexp(t, line, out.String())
	}
	assert.NotContains(t, out.String(), "kill:", "nothing was measured of it")
}

func TestThePictureIsWellFormedAndHasABarForEachPeer(t *testing.T) {
	var out strings.Builder
	r := someReport(t)
	r.Machine.CPU = `A <"fast"> & cheap one`
	r.writeSVG(&out)
	d := xml.NewDecoder(strings.NewReader(out.String()))
	bars := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	assert.Equal(t, 1+2, bars, "the background, dbdb and etcd")
}

func TestTheReportIsJSON(t *testing.T) {
	data, err := json.Marshal(someReport(t))
	require.NoError(t, err)
	var back report
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Len(t, back.Cells, 4)
	assert.Equal(t, 4.5, back.Rows[0].Peers[1].Ratio.Median)
}

// A figure of a run in which answers were wrong is worth nothing, so the run fails.
func TestAWrongAnswerFailsTheRun(t *testing.T) {
	r := someReport(t)
	require.NoError(t, r.wrong())
	r.Cells[1].Wrong = map[string]int{"stale": 1}
	assert.ErrorContains(t, r.wrong(), "stale")
	r.Cells[1].Wrong, r.Cells[2].Errors = nil, 3
	assert.ErrorContains(t, r.wrong(), "3 errors")
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.004: "0.00", 2: "2.00", 12.34: "12.3", 123.4: "123", 1234567: "1,234,567"} {
		assert.Equal(t, want, number(v))
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	_, err := pickRows("set64,set65")
	assert.ErrorContains(t, err, `no row "set65"`)
	_, err = peerNamed("redis")
	assert.ErrorContains(t, err, `no peer "redis"`)
}
