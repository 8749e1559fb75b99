package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPackageCommentsAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "// Package x has [Thing], Page[T] and [Nothing].\n" +
		"//\n" +
		"//\tx.Thing()\n" +
		"//\n" +
		"// See [errors.Is].\n" +
		"package x\n" +
		"\n" +
		"// Thing is\n" +
		"// like [Other.Thing].\n" +
		"func Thing() { /* [Inside] */ }\n"
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	problems, code, err := docComments(dir, pkg{Name: "x", ImportPath: "example.com/x", Dir: dir, GoFiles: []string{"x.go"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"x.go:1: doc link to nothing: [Nothing]", "x.go:9: doc link to nothing: [Other.Thing]"}
	if !slices.Equal(problems, want) {
		t.Errorf("got %q, want %q", problems, want)
	}
	if want := (block{lang: "go", code: "x.Thing()\n", file: "x.go", line: 3}); len(code) != 1 || code[0] != want {
		t.Errorf("got %+v, want %+v", code, want)
	}
}
