// Package docs_test compares the pages of this folder with the code.
package docs_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"echows/settings"
)

// row is one limit of the page.
type row struct{ limit, setBy, value, past, counter string }

// rows are the limits of the page.
func rows(t *testing.T) (all []row) {
	t.Helper()
	page, err := os.ReadFile("limits.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| limit |") {
			continue
		}
		if len(cells) != 5 {
			t.Fatalf("a row of %d cells: %s", len(cells), line)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, row{cells[0], cells[1], cells[2], cells[3], cells[4]})
	}
	if len(all) < 50 {
		t.Fatalf("the test finds %d limits", len(all))
	}
	return all
}

var (
	inCode = regexp.MustCompile("^`([a-z0-9_/]+\\.go)` `([A-Za-z.]+)`")
	inFlag = regexp.MustCompile("^`-([a-z-]+)`")
	quoted = regexp.MustCompile("^`([^`]+)`$")
)

// The page's defaults are those of the code, and each limit has a place.
func TestDefaultsAreTheCodes(t *testing.T) {
	flags := flagDefaults(t)
	seen := map[string]bool{}
	for _, r := range rows(t) {
		value := quoted.FindStringSubmatch(r.value)
		if r.value == "" { // a part of another's
			continue
		}
		if value == nil || r.past == "" || r.counter == "" {
			t.Errorf("%s: default %q, past it %q, counter %q", r.limit, r.value, r.past, r.counter)
			continue
		}
		if place := inFlag.FindStringSubmatch(r.setBy); place != nil {
			seen[place[1]] = true
			if want, ok := flags[place[1]]; !ok || value[1] != want {
				t.Errorf("%s: -%s has the default %s, not %s", r.limit, place[1], want, value[1])
			}
			continue
		}
		place := inCode.FindStringSubmatch(r.setBy)
		if place == nil {
			t.Errorf("%s: it is set by %q", r.limit, r.setBy)
			continue
		}
		seen[place[1]+" "+place[2]] = true
		want, err := inSource(place[1], place[2])
		if err != nil {
			t.Errorf("%s: %v", r.limit, err)
			continue
		}
		if got, err := amount(value[1]); err != nil || got != want {
			t.Errorf("%s: %s in %s is %v, not %s", r.limit, place[2], place[1], want, value[1])
		}
	}
	for flag := range flags { // all that bound something
		if regexp.MustCompile("rate$|sockets$|posts$|events$|^max-|^keep-|^ping$").MatchString(flag) && !seen[flag] {
			t.Errorf("the page lacks -%s", flag)
		}
	}
	for _, name := range programsOwn(t) {
		if !seen["settings/limits.go "+name] {
			t.Errorf("the page lacks settings.%s", name)
		}
	}
}

// flagDefaults are the defaults that -h says, by flag.
func flagDefaults(t *testing.T) map[string]string {
	t.Helper()
	var help bytes.Buffer
	settings.Read([]string{"-h"}, func(string) string { return "" }, &help)
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`\n  -([a-z-]+) .*\n .*?(?:\(default ([^)]*)\))?\n`).FindAllStringSubmatch(help.String(), -1) {
		all[m[1]] = m[2]
	}
	if len(all) < 20 {
		t.Fatalf("-h lists %d flags", len(all))
	}
	return all
}

// programsOwn are the exported constants of settings/limits.go.
func programsOwn(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../settings/limits.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]ast.Expr{}
	addConstants(file, all)
	for name := range all {
		if ast.IsExported(name) {
			names = append(names, name)
		}
	}
	if len(names) < 10 {
		t.Fatalf("settings/limits.go has %d constants", len(names))
	}
	return names
}

// amount reads 16 KiB, 30 s, 2500 ms, 1000 and the like; a time is in nanoseconds.
func amount(text string) (int64, error) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, err
	}
	units := map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
		"ms": int64(time.Millisecond), "s": int64(time.Second), "min": int64(time.Minute), "h": int64(time.Hour)}
	times, ok := units[unit]
	if !ok {
		return 0, fmt.Errorf("%s is no unit", unit)
	}
	return n * times, nil
}

// inSource is what a constant, or the default of a field such as Config.MaxQueue, is in a file of the repository.
func inSource(file, name string) (int64, error) {
	path := filepath.Join("..", filepath.FromSlash(file))
	set := token.NewFileSet()
	one, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		return 0, err
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.go"))
	if err != nil {
		return 0, err
	}
	consts := map[string]ast.Expr{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			return 0, err
		}
		addConstants(f, consts)
	}
	own := map[string]ast.Expr{} // of that file alone
	addConstants(one, own)
	expr := own[name]
	if _, field, ok := strings.Cut(name, "."); ok {
		expr = fieldDefault(one, field)
	}
	if expr == nil {
		return 0, fmt.Errorf("%s has no %s", file, name)
	}
	value, err := evaluate(expr, consts)
	if err != nil {
		return 0, fmt.Errorf("%s in %s: %w", name, file, err)
	}
	n, ok := constant.Int64Val(constant.ToInt(value))
	if !ok {
		return 0, fmt.Errorf("%s in %s is no whole number", name, file)
	}
	return n, nil
}

func addConstants(f *ast.File, to map[string]ast.Expr) {
	for _, d := range f.Decls {
		general, ok := d.(*ast.GenDecl)
		if !ok || general.Tok != token.CONST {
			continue
		}
		for _, s := range general.Specs {
			spec := s.(*ast.ValueSpec)
			for i, name := range spec.Names {
				if i < len(spec.Values) {
					to[name.Name] = spec.Values[i]
				}
			}
		}
	}
}

// fieldDefault finds setDefault(&x.Field, default), or cmp.Or(x.Field, default).
func fieldDefault(f *ast.File, field string) (found ast.Expr) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 2 {
			return true
		}
		first := call.Args[0]
		if of, ok := first.(*ast.UnaryExpr); ok && of.Op == token.AND {
			first = of.X
		}
		name := calledName(call)
		if s, ok := first.(*ast.SelectorExpr); ok && s.Sel.Name == field && (name == "setDefault" || name == "Or") {
			found = call.Args[1]
		}
		return true
	})
	return found
}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// evaluate computes what such constants are made of: numbers, other constants of the package, and times.
func evaluate(e ast.Expr, consts map[string]ast.Expr) (constant.Value, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0), nil
	case *ast.ParenExpr:
		return evaluate(e.X, consts)
	case *ast.Ident:
		if consts[e.Name] != nil {
			return evaluate(consts[e.Name], consts)
		}
	case *ast.SelectorExpr:
		times := map[string]time.Duration{"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}
		if d, ok := times[e.Sel.Name]; ok {
			return constant.MakeInt64(int64(d)), nil
		}
	case *ast.CallExpr:
		if calledName(e) == "max" { // the default, unless a setting that is 0 makes it more
			return evaluate(e.Args[0], consts)
		}
	case *ast.BinaryExpr:
		x, err := evaluate(e.X, consts)
		if err != nil {
			return nil, err
		}
		y, err := evaluate(e.Y, consts)
		if err != nil {
			return nil, err
		}
		switch e.Op {
		case token.SHL:
			by, _ := constant.Uint64Val(y)
			return constant.Shift(x, e.Op, uint(by)), nil
		case token.QUO:
			return constant.BinaryOp(x, token.QUO_ASSIGN, y), nil
		}
		return constant.BinaryOp(x, e.Op, y), nil
	}
	return nil, fmt.Errorf("%T is nothing that this test computes", e)
}
