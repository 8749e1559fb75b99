package main

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestNamesOfAGlossaryExist(t *testing.T) {
	t.Parallel()
	text := "`Nothing` in a sentence\n" +
		"| `limit` | `Account`, `Account.Limit`, `Account.Name`, `Accounts.ChangeLimit`, `pool.Gateway`, `pool.Gateway.URL` |\n" +
		"| `limit` | `Nothing`, `Account.Nothing`, `Accounts.Nothing`, `pool.Nothing`, `pool` |\n"
	got, err := deadGoNames(filepath.Join("..", "..", ".."), "glossary.md", text)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"glossary.md:3: there is no Nothing", "glossary.md:3: there is no Account.Nothing",
		"glossary.md:3: there is no Accounts.Nothing", "glossary.md:3: there is no pool.Nothing", "glossary.md:3: there is no pool",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
