package sim

import (
	"fmt"
	"regexp"
	"strings"
)

// Counterexample is what a person needs of a script that breaks a promise: the diagram, and
// a file for tests/scripts, with the line that plays it. How it was found is said in the file.
func (s Script) Counterexample(found string) string {
	diagram, f := s.Lanes(true)
	if f == nil {
		return diagram
	}
	file := "01-" + fileName(f.Oracle)
	return fmt.Sprintf(`%s
%d steps. As a script of tests/scripts:

mkdir -p tests/scripts/99-found
cat > tests/scripts/99-found/%s.txt <<'END'
%sEND
go test ./tests/scripts -run TestScripts/99-found/01 -rewrite

-rewrite fills in what happens; with -lanes instead it is drawn.
`, diagram, len(s)-1, file, s.File(found, f))
}

// File is the script as a file, without what happens.
func (s Script) File(found string, f *Failure) string {
	promise := fmt.Sprintf("Breaks the promise %q: %s.", f.Oracle, firstLine(f.Detail))
	return "# " + strings.ReplaceAll(paragraph(found+" "+promise), "\n", "\n# ") + "\n" + s.String()
}

var noLetters = regexp.MustCompile(`[^a-z0-9]+`)

func fileName(oracle string) string {
	return strings.Trim(noLetters.ReplaceAllString(strings.ToLower(oracle), "-"), "-")
}
