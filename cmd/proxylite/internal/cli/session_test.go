package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/proxylitetest"
)

// TestSession runs the lines of the console blocks of docs/cli.md and compares what
// they print. With UPDATE_SCRIPTS it writes that down instead.
func TestSession(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "..", "..", "docs", "cli.md")
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		t.Skip("the documents are not part of this module")
	}
	require.NoError(t, err)
	server := proxylitetest.NewServer(t, proxylitetest.WithoutProxies(), proxylitetest.WithNow(func() time.Time { return now }))
	self, err := os.Executable()
	require.NoError(t, err)
	dir, bin := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(bin, "proxylite")))
	run := func(line string) string {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+dir, "XDG_CONFIG_HOME="+dir,
			"PROXYLITE_APP_KEY="+server.Key, "PROXYLITE_BASE_URL="+server.URL, "PROXYLITE_OUTPUT=table")
		out, _ := cmd.CombinedOutput() // a line may show a failure
		return strings.ReplaceAll(string(out), server.URL, "https://api.proxylite.com")
	}
	var got strings.Builder
	inside := false
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console\n"
		case inside && !strings.HasPrefix(line, "$ "):
			continue // what a command printed
		}
		got.WriteString(line)
		if inside && strings.HasPrefix(line, "$ ") {
			got.WriteString(run(line[2:]))
		}
	}
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		require.NoError(t, os.WriteFile(file, []byte(got.String()), 0o600))
		return
	}
	require.Equal(t, string(text), got.String())
}
