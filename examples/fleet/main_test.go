package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The worker that comes in place of the killed one takes over what that had, and
// extracts nothing.
func TestTheFleetSurvivesAKill(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "fleet")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command(program, "-for", "20s").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `worker \d+ has died`, string(out))
	require.Len(t, unique(regexp.MustCompile(`worker (\d+): 3 proxies`), string(out)), 4, "%s", out)
	require.Len(t, unique(regexp.MustCompile(`worker (\d+): 3 proxies.*has extracted 0`), string(out)), 1, "%s", out)
}

func unique(pattern *regexp.Regexp, s string) map[string]bool {
	all := map[string]bool{}
	for _, m := range pattern.FindAllStringSubmatch(s, -1) {
		all[m[1]] = true
	}
	return all
}
