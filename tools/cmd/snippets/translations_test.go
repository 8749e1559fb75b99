package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestATranslationHasTheCodeOfTheOriginal(t *testing.T) {
	t.Parallel()
	const text = "```go\nx := 1 // one\n```\n"
	for name, c := range map[string]struct {
		file, text string
		problems   int
	}{
		"same":          {"DOC.zh-CN.md", text, 0},
		"other comment": {"DOC.zh-CN.md", "```go\nx := 1 // 一\n```\n", 0},
		"other code":    {"zh/DOC.md", "```go\nx := 2\n```\n", 1},
		"one missing":   {"zh/DOC.md", "", 1},
		"no original":   {"DOC.md", "```go\ny\n```\n", 0},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "DOC.md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		problems, err := checkTranslation(dir, c.file, c.text)
		if err != nil {
			t.Fatal(err)
		}
		if len(problems) != c.problems {
			t.Errorf("%s: %q", name, problems)
		}
	}
}
