package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkText checks a document in a folder of its own inside the repository, for
// the snippets are built against the working tree.
func checkText(t *testing.T, text string) []string {
	t.Helper()
	root := filepath.Join("..", "..", "..")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "DOC.md"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := filepath.Rel(abs, filepath.Join(dir, "DOC.md"))
	if err != nil {
		t.Fatal(err)
	}
	problems, err := check(root, []string{doc})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range problems {
		problems[i] = p[strings.Index(p, "DOC.md"):]
	}
	return problems
}

func TestGoodSnippetsPass(t *testing.T) {
	t.Parallel()
	got := checkText(t, "A [root](.) and [a part](DOC.md#part).\n"+`
`+"```go"+`
package main

import "github.com/proxylite/proxylite-go"

func main() { _, _ = proxylite.NewClient(proxylite.AppKey("key")) }
`+"```\n```go"+`
accounts, err := client.Accounts.List(ctx)
if err != nil {
	return err
}
`+"```\n```go"+`
import "net/http"

if errors.Is(err, proxylite.ErrOutcomeUnknown) {
	fmt.Println(http.MethodGet)
}
`+"```\n```go"+`
func TestMine(t *testing.T) {
	t.Log(proxylite.Version)
}
`+"```\n```text\nnot Go\n```\n```sh\ngo test ./...\n```\n")
	if len(got) > 0 {
		t.Error(got)
	}
}

func TestBadSnippetsAreNamedByLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"unknown name":  {"text\n```go\nx := 1\nfmt.Println(x, nope)\n```\n", "DOC.md:4: undefined: nope"},
		"unused":        {"```go\npackage main\n\nfunc main() {\n\tx := 1\n}\n```\n", "DOC.md:5: declared and not used: x"},
		"vet":           {"```go\nfmt.Printf(\"%d\", \"x\")\n```\n", "DOC.md:2:"},
		"no such field": {"```go\nclient.Nothing.List(ctx)\n```\n", "DOC.md:2: client.Nothing undefined"},
		"syntax":        {"```go\nfor {\n```\n", "DOC.md:2: "},
		"not formatted": {"```go\nif err!=nil {\n\tpanic(err)\n}\n```\n", "DOC.md:2: not formatted"},
		"dead link":     {"\n[x](nowhere.md)\n", "DOC.md:2: there is no nowhere.md"},
		"dead example":  {"```sh\n# first\ngo run ./examples/none -x\n```\n", "DOC.md:3: there is no ./examples/none"},
		"dead script":   {"```sh\nscripts/none.sh 3\n```\n", "DOC.md:2: there is no scripts/none.sh"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := checkText(t, c.text)
			if len(got) != 1 || !strings.HasPrefix(got[0], c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
