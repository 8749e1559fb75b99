package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
)

// pkg is a package of the repository, as go list tells.
type pkg struct {
	Name, ImportPath, Dir string
	GoFiles               []string
}

// public tells whether a user can import it.
func (p pkg) public() bool {
	return p.Name != "main" && !strings.Contains(p.ImportPath, "/internal/")
}

var docLink = regexp.MustCompile(`\B\[\*?[A-Z]\w*(\.\w+)?\]`)

// docComments finds doc links that lead nowhere, and the code in the comment of a
// package that a user can import.
func docComments(root string, p pkg) (problems []string, code []block, err error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	docs, err := doc.NewFromFiles(fset, files, p.ImportPath, doc.AllDecls|doc.PreserveAST)
	if err != nil {
		return nil, nil, err
	}
	read := func(group *ast.CommentGroup, ofPackage bool) {
		if group == nil {
			return
		}
		at := fset.Position(group.Pos())
		file, err := filepath.Rel(root, at.Filename)
		if err != nil {
			file = at.Filename
		}
		for _, b := range docs.Parser().Parse(group.Text()).Content {
			for _, dead := range docLink.FindAllString(plain(b), -1) {
				problems = append(problems, fmt.Sprintf("%s:%d: doc link to nothing: %s", file, at.Line+lineOf(group, dead), dead))
			}
			if c, ok := b.(*comment.Code); ok && ofPackage && p.public() {
				first, _, _ := strings.Cut(c.Text, "\n")
				code = append(code, block{lang: "go", code: c.Text, file: file, line: at.Line + lineOf(group, "\t"+first)})
			}
		}
	}
	for _, f := range files {
		read(f.Doc, true)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BlockStmt:
				return false
			case *ast.FuncDecl:
				read(n.Doc, false)
			case *ast.GenDecl:
				read(n.Doc, false)
			case *ast.TypeSpec:
				read(n.Doc, false)
			case *ast.ValueSpec:
				read(n.Doc, false)
			case *ast.Field:
				read(n.Doc, false)
			}
			return true
		})
	}
	return problems, code, nil
}

// plain is the text of a block that is neither code nor a link that was resolved.
func plain(b comment.Block) string {
	var out strings.Builder
	switch b := b.(type) {
	case *comment.Paragraph:
		for _, t := range b.Text {
			if t, ok := t.(comment.Plain); ok {
				out.WriteString(string(t))
			}
		}
	case *comment.List:
		for _, item := range b.Items {
			for _, b := range item.Content {
				out.WriteString(plain(b))
			}
		}
	}
	return out.String()
}

// lineOf is how many lines below its first one a comment has the text.
func lineOf(group *ast.CommentGroup, text string) int {
	for i, c := range group.List {
		if strings.Contains(c.Text, text) {
			return i
		}
	}
	return 0
}
