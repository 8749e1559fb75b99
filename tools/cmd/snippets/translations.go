package main

import (
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// original returns the file that a document is a translation of, or "".
func original(root, file string) string {
	name := ""
	if stem, ok := strings.CutSuffix(file, ".zh-CN.md"); ok {
		name = stem + ".md"
	} else if dir, base := filepath.Split(file); filepath.Base(dir) == "zh" {
		name = filepath.Join(filepath.Dir(filepath.Clean(dir)), base)
	}
	if _, err := os.Stat(filepath.Join(root, name)); name == "" || err != nil {
		return ""
	}
	return name
}

// checkTranslation compares the go blocks of a translation with those of the original.
// Only the comments may differ.
func checkTranslation(root, file, text string) (problems []string, err error) {
	name := original(root, file)
	if name == "" {
		return nil, nil
	}
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return nil, err
	}
	here, there := goBlocks(text), goBlocks(string(b))
	if len(here) != len(there) {
		return []string{fmt.Sprintf("%s: has %d go blocks, and %s has %d", file, len(here), name, len(there))}, nil
	}
	for i, b := range here {
		if codeOf(b.code) != codeOf(there[i].code) {
			problems = append(problems, fmt.Sprintf("%s:%d: not the code of %s:%d", file, b.line, name, there[i].line))
		}
	}
	return problems, nil
}

func goBlocks(text string) (out []block) {
	for _, b := range blocks(text) {
		if b.lang == "go" {
			out = append(out, b)
		}
	}
	return out
}

// codeOf returns the tokens of code, without comments.
func codeOf(code string) string {
	var s scanner.Scanner
	fset := token.NewFileSet()
	s.Init(fset.AddFile("", fset.Base(), len(code)), []byte(code), nil, 0)
	var out strings.Builder
	for {
		_, tok, lit := s.Scan()
		if tok == token.EOF {
			return out.String()
		}
		fmt.Fprintln(&out, tok, lit)
	}
}
