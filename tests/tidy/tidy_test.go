// Package tidy holds the code to the habits that make it readable, and to the
// rules that make it deterministic.
package tidy

import (
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// packageDirs lists the folders with Go files, relative to the root.
func packageDirs(t *testing.T) []string {
	t.Helper()
	var dirs []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "data" || d.Name() == "bin" || strings.HasPrefix(d.Name(), ".") && path != root) {
			return fs.SkipDir
		}
		if dir := filepath.Dir(path); strings.HasSuffix(path, ".go") && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		return nil
	}))
	require.NotEmpty(t, dirs)
	return dirs
}

// source parses the Go files of a folder; tests only if wanted.
func source(t *testing.T, fset *token.FileSet, dir string, tests bool) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range names {
		if !tests && strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}

// The core is a pure value: no clock, file, socket, goroutine or global randomness
// can be reached from what it imports.
func TestTheCoreImportsOnlyPurePackages(t *testing.T) {
	pure := []string{"cmp", "encoding/binary", "errors", "fmt", "maps", "slices", "strings"}
	for _, f := range source(t, token.NewFileSet(), filepath.Join(root, "raft"), false) {
		for _, spec := range f.Imports {
			assert.Contains(t, pure, strings.Trim(spec.Path.Value, `"`), "%s", f.Name)
		}
	}
}

// No goroutine, channel or walk over a map in the core or in the replica: each
// would make two runs of one seed differ.
func TestTheCoreIsDeterministic(t *testing.T) {
	t.Chdir(root)
	for dir, path := range map[string]string{"raft": "dbdb/raft", "raft/replica": "dbdb/raft/replica"} {
		fset := token.NewFileSet()
		files := source(t, fset, dir, false)
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
		conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
		_, err := conf.Check(path, fset, files, info)
		require.NoError(t, err)
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType, *ast.SendStmt:
					t.Errorf("%s: concurrency in the core", fset.Position(n.Pos()))
				case *ast.RangeStmt:
					if _, isMap := info.TypeOf(n.X).Underlying().(*types.Map); isMap {
						t.Errorf("%s: a map is walked in random order", fset.Position(n.Pos()))
					}
				case *ast.BasicLit:
					if n.Kind == token.FLOAT {
						t.Errorf("%s: floating point in the core", fset.Position(n.Pos()))
					}
				}
				return true
			})
		}
	}
}

// Imports go one way: cmd, httpapi, kvstore, raft; cmd, rpc, raft; tests may see all.
func TestImportsGoOneWay(t *testing.T) {
	allowed := map[string][]string{
		"raft":         {},
		"raft/replica": {"raft"},
		"raft/node":    {"raft", "raft/replica"},
		"raft/wal":     {"raft"},
		"rpc":          {"raft", "raft/replica"},
		"kvstore":      {"raft"},
		"httpapi":      {"kvstore", "raft", "raft/node"},
	}
	for _, dir := range packageDirs(t) {
		name, err := filepath.Rel(root, dir)
		require.NoError(t, err)
		if strings.HasPrefix(name, "tests") || strings.HasPrefix(name, "cmd") {
			continue
		}
		require.Contains(t, allowed, name, "a new package: say here what it may import")
		pkg, err := build.ImportDir(dir, 0)
		require.NoError(t, err)
		for _, path := range pkg.Imports {
			if own, ok := strings.CutPrefix(path, "dbdb/"); ok {
				assert.Contains(t, allowed[name], own, "%s imports %s", name, path)
			}
		}
	}
}

// A function fits a screen.
func TestFunctionsAreShort(t *testing.T) {
	const maxLines = 70
	for _, dir := range packageDirs(t) {
		fset := token.NewFileSet()
		for _, f := range source(t, fset, dir, false) {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					lines := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
					assert.LessOrEqual(t, lines, maxLines, "%s: %s", fset.Position(fn.Pos()), fn.Name.Name)
				}
			}
		}
	}
}

// Every exported name says what it is for.
func TestExportedNamesHaveADoc(t *testing.T) {
	for _, dir := range packageDirs(t) {
		fset := token.NewFileSet()
		for _, f := range source(t, fset, dir, false) {
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Name.IsExported() && exportedReceiver(d) && !implementsAnInterface(d) {
						assert.NotNil(t, d.Doc, "%s: %s", fset.Position(d.Pos()), d.Name.Name)
					}
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() {
							assert.True(t, d.Doc != nil || s.Doc != nil, "%s: %s", fset.Position(s.Pos()), s.Name.Name)
						}
					}
				}
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	recv := d.Recv.List[0].Type
	if star, ok := recv.(*ast.StarExpr); ok {
		recv = star.X
	}
	name, ok := recv.(*ast.Ident)
	return ok && name.IsExported()
}

// implementsAnInterface names the methods whose interface says what they do.
func implementsAnInterface(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{"Error", "Unwrap", "String", "Is"}, d.Name.Name)
}

// What is left to do is in nobody's comments.
func TestNothingIsLeftToDo(t *testing.T) {
	left := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	for _, dir := range packageDirs(t) {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, name := range names {
			if strings.HasSuffix(name, "tidy_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			assert.NotRegexp(t, left, string(text), name)
		}
	}
}
