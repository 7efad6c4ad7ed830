package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestADiagramIsShownWithoutWhatTheTestSaysOfIt(t *testing.T) {
	assert.Equal(t, "cluster 3\n\n      n1\n", diagram("cluster 3\n\n      n1\n--- FAIL: TestScripts (0.1s)\n    more\n"))
	assert.Equal(t, "cluster 3\n\n      n1\n", diagram("cluster 3\n\n      n1\n\nPASS\n"))
}

func TestAScriptIsNamedByItsFolderAndNumber(t *testing.T) {
	assert.Equal(t, "03-commit/06", numberedName("tests/scripts/03-commit/06-figure-8-an-entry.txt"))
}

func TestAMutantIsAskedForByItsName(t *testing.T) {
	t.Chdir(root)
	m, err := one("figure-8")
	assert.NoError(t, err)
	assert.Equal(t, "figure-8-an-entry-on-a-majority-may-be-lost", m.script)
	_, err = one("figure-9")
	assert.ErrorContains(t, err, `no mutant "figure-9"`)
}
