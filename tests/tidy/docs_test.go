package tidy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(text)
}

// DESIGN.md maps each line of Figure 2 to names in files of the core; all of them
// exist, there.
func TestTheMapFromFigure2ToTheCodeIsTrue(t *testing.T) {
	_, rest, found := strings.Cut(read(t, "DESIGN.md"), "### From Figure 2 to the code")
	require.True(t, found)
	table, _, _ := strings.Cut(rest, "\n### ")
	places := regexp.MustCompile("((?:`\\w+`(?:, | and )?)+) in (\\w+\\.go)").FindAllStringSubmatch(table, -1)
	require.Greater(t, len(places), 15)
	for _, p := range places {
		code := read(t, filepath.Join("raft", p[2]))
		for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(p[1], -1) {
			assert.Regexp(t, `(?m)^(type|func( \(\w+ \*\w+\))?) `+name[1]+`\b`, code, "%s in %s", name[1], p[2])
		}
	}
}

// Links to files of the project lead somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, doc := range []string{"README.md", "DESIGN.md"} {
		for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(read(t, doc), -1) {
			if !strings.Contains(link[1], "://") {
				_, err := os.Stat(filepath.Join(root, strings.Split(link[1], "#")[0]))
				assert.NoError(t, err, "%s links to %s", doc, link[1])
			}
		}
	}
}

// The make targets that the README names exist.
func TestMakeTargetsExist(t *testing.T) {
	makefile := read(t, "Makefile")
	for _, target := range regexp.MustCompile(`\bmake ([a-z-]+)`).FindAllStringSubmatch(read(t, "README.md"), -1) {
		assert.Regexp(t, `(?m)^`+target[1]+`:`, makefile)
	}
}
