// Snippets compiles what the documents and the package comments show.
//
//	go -C tools run ./cmd/snippets README.md docs/*.md
//
// Files are named from the root of the repository. Every go block in them must
// be formatted and pass go vet against the working tree. A block is a program, a
// list of declarations, or statements; statements find ctx, client and err, and
// may leave variables unused. What a block uses of the repository and of the
// standard library is imported for it; other imports it begins with. A block
// that is not meant to compile has another fence. Indented code in the comment of
// a package is a go block too.
//
// The go blocks of a translation, X.zh-CN.md or zh/X.md, must be those of X.md, but for
// the comments.
//
// The Go names in the last column of a table of a glossary.md must exist.
//
// The files that relative links and the sh blocks (go run ./x, scripts/x.sh)
// name must exist, and so must what a doc link names.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/tools/imports"
)

func main() {
	root := flag.String("root", "..", "root of the repository")
	flag.Parse()
	problems, err := check(*root, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "snippets:", err)
		os.Exit(2)
	}
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// check returns what is wrong with the files, one line for each problem.
func check(root string, files []string) (problems []string, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "snippets")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	packages, err := makeModule(root, tmp)
	if err != nil {
		return nil, err
	}
	var snippets []block
	for _, p := range packages {
		dead, code, err := docComments(root, p)
		if err != nil {
			return nil, err
		}
		problems = append(problems, dead...)
		snippets = append(snippets, code...)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return nil, err
		}
		problems = append(problems, deadNames(root, file, string(text))...)
		if filepath.Base(file) == "glossary.md" {
			dead, err := deadGoNames(root, file, string(text))
			if err != nil {
				return nil, err
			}
			problems = append(problems, dead...)
		}
		if original(root, file) != "" { // whose code is compiled
			other, err := checkTranslation(root, file, string(text))
			if err != nil {
				return nil, err
			}
			problems = append(problems, other...)
			continue
		}
		for _, b := range goBlocks(string(text)) {
			b.file = file
			snippets = append(snippets, b)
		}
	}
	compiled := 0
	for _, b := range snippets {
		at := fmt.Sprintf("%s:%d", b.file, b.line)
		if formatted, err := format.Source([]byte(b.code)); err == nil && strings.TrimSpace(string(formatted)) != strings.TrimSpace(b.code) {
			problems = append(problems, at+": not formatted as gofmt does")
		}
		src, err := complete(b, root, packages)
		if err != nil {
			problems = append(problems, at+": "+err.Error())
			continue
		}
		compiled++
		dir := filepath.Join(tmp, fmt.Sprintf("snippet%d", compiled))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, "snippet.go"), src, 0o600); err != nil {
			return nil, err
		}
	}
	if compiled > 0 {
		said, err := vet(root, tmp)
		if err != nil {
			return nil, err
		}
		problems = append(problems, said...)
	}
	fmt.Printf("%d snippets compiled, from %d files and the comments of %d packages: %d problems\n", compiled, len(files), len(packages), len(problems))
	return problems, nil
}

// block is a fenced block; line is that of its first line of code.
type block struct {
	lang, code, file string
	line             int
}

func blocks(text string) (out []block) {
	var b *block
	for i, line := range strings.Split(text, "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && b == nil:
			b = &block{lang: fence, line: i + 2}
		case isFence:
			out = append(out, *b)
			b = nil
		case b != nil:
			b.code += line + "\n"
		}
	}
	return out
}

var (
	link    = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	command = regexp.MustCompile(`\bgo (?:run|test|build|vet) (?:-\S+ )*(\./[^\s]+)|^\s*(?:\$ )?(\S+\.sh)\b`)
)

// deadNames finds links and commands that lead to no file.
func deadNames(root, file, text string) (problems []string) {
	missing := func(line int, dir, name string) {
		if _, err := os.Stat(filepath.Join(root, dir, strings.TrimSuffix(name, "/..."))); errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Sprintf("%s:%d: there is no %s", file, line, name))
		}
	}
	for i, line := range strings.Split(text, "\n") {
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			missing(i+1, filepath.Dir(file), m[1])
		}
	}
	for _, b := range blocks(text) {
		if b.lang != "sh" {
			continue
		}
		for i, line := range strings.Split(b.code, "\n") {
			for _, m := range command.FindAllStringSubmatch(line, -1) {
				missing(b.line+i, ".", m[1]+m[2])
			}
		}
	}
	return problems
}

// complete makes a file of a block: package, imports and function are added
// where they are missing. The lines keep their numbers in the document.
func complete(b block, root string, packages []pkg) ([]byte, error) {
	code := b.code
	name := "snippet"
	if f, err := parser.ParseFile(token.NewFileSet(), "", code, parser.PackageClauseOnly); err == nil {
		name = f.Name.Name
	} else {
		code = "package snippet; " + code
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "", code, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	end := fset.Position(f.Name.End())
	for _, d := range f.Decls {
		end = fset.Position(d.End())
	}
	var written []string // imports that the block has
	for _, i := range f.Imports {
		spec := i.Path.Value
		if i.Name != nil {
			spec = i.Name.Name + " " + spec
		}
		written = append(written, spec)
	}
	rest := strings.TrimPrefix(code[end.Offset:], ";")
	lineOf := fmt.Sprintf("//line %s:%d\n", filepath.Join(root, b.file), b.line+end.Line-1)

	file := func(specs []string, rest string) string {
		return fmt.Sprintf("package %s\nimport (\n%s\n)\n%s%s", name, strings.Join(specs, "\n"), lineOf, rest)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "", file(written, rest), parser.SkipObjectResolution); err != nil {
		if rest, err = function(rest, lineOf); err != nil {
			return nil, err
		}
	}

	// goimports knows the standard library; the repository's own packages it
	// might find elsewhere, or nowhere.
	f, err = parser.ParseFile(token.NewFileSet(), "", file(written, rest), 0)
	if err != nil {
		return nil, err
	}
	specs := written
	for _, u := range f.Unresolved {
		i := slices.IndexFunc(packages, func(p pkg) bool { return p.public() && p.Name == u.Name })
		if i >= 0 && !strings.Contains(strings.Join(specs, "\n"), strconv.Quote(packages[i].ImportPath)) {
			specs = append(specs, strconv.Quote(packages[i].ImportPath))
		}
	}
	whole, err := imports.Process("snippet.go", []byte(file(specs, rest)), nil)
	if err != nil {
		return nil, err
	}
	f, err = parser.ParseFile(token.NewFileSet(), "", whole, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	specs = nil
	for _, i := range f.Imports {
		spec := i.Path.Value
		if i.Name != nil {
			spec = i.Name.Name + " " + spec
		}
		specs = append(specs, spec)
	}
	return []byte(file(specs, rest)), nil
}

// function wraps statements. Variables they leave unused are used at the end.
func function(statements, lineOf string) (string, error) {
	const head = "func _(ctx context.Context, client *proxylite.Client, err error) %s { _, _, _ = ctx, client, err; {\n%s%s\n%s } %s }\n"
	f, err := parser.ParseFile(token.NewFileSet(), "", "package snippet; "+fmt.Sprintf(head, "", lineOf, statements, "", ""), 0)
	if err != nil {
		return "", errors.New(strings.TrimSpace(err.Error()))
	}
	body := f.Decls[0].(*ast.FuncDecl).Body.List[1].(*ast.BlockStmt)
	uses, result, last := "", "", ""
	for _, s := range body.List {
		switch s := s.(type) {
		case *ast.AssignStmt:
			for _, e := range s.Lhs {
				if id, ok := e.(*ast.Ident); ok && s.Tok == token.DEFINE && id.Name != "_" {
					uses += "_ = " + id.Name + ";"
				}
			}
		case *ast.DeclStmt:
			if d, ok := s.Decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
				for _, spec := range d.Specs {
					for _, id := range spec.(*ast.ValueSpec).Names {
						uses += "_ = " + id.Name + ";"
					}
				}
			}
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			if len(n.Results) == 1 {
				result, last = "error", "; return nil"
			}
		}
		return true
	})
	return fmt.Sprintf(head, result, lineOf, statements, uses, last), nil
}

// makeModule makes a module in dir that has the dependencies of the root module
// and replaces every module of the repository by the working tree. It returns
// the repository's packages.
func makeModule(root, dir string) (packages []pkg, err error) {
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	edit := []string{"mod", "edit", "-module=example.com/snippets"}
	mods, err := run(root, "git", "ls-files", "*go.mod")
	if err != nil {
		return nil, err
	}
	for mod := range strings.FieldsSeq(mods) {
		text, err := os.ReadFile(filepath.Join(root, mod))
		if err != nil {
			return nil, err
		}
		path, at := modfile.ModulePath(text), filepath.Join(root, filepath.Dir(mod))
		edit = append(edit, "-replace="+path+"="+at)
		list, err := run(at, "go", "list", "-json=Name,ImportPath,Dir,GoFiles", "./...")
		if err != nil {
			return nil, err
		}
		for d := json.NewDecoder(strings.NewReader(list)); ; {
			var p pkg
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
			packages = append(packages, p)
		}
	}
	_, err = run(dir, "go", edit...)
	return packages, err
}

// vet compiles and vets the snippets in dir.
func vet(root, dir string) ([]string, error) {
	if out, err := run(dir, "go", "mod", "tidy"); err != nil {
		return nil, fmt.Errorf("an import of a snippet is not to be had: %s%w", out, err)
	}
	// The uses that function appends may be unreachable.
	out, err := run(dir, "go", "vet", "-unreachable=false", "./...")
	if err == nil {
		return nil, nil
	}
	from, _ := filepath.Rel(dir, root) // the go command shortens paths
	short := strings.NewReplacer(root+"/", "", from+"/", "")
	var problems []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimPrefix(line, "vet: "); line != "" && !strings.HasPrefix(line, "#") {
			problems = append(problems, short.Replace(line))
		}
	}
	return append(problems, strings.Fields(out)...), nil
}

// run returns what a command prints; its error is what it says on stderr.
func run(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), errors.New(strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
