package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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
	before, after, died := strings.Cut(string(out), " has died")
	require.True(t, died, "%s", out)
	fresh := pids(after)
	for pid := range pids(before) {
		delete(fresh, pid)
	}
	require.Len(t, fresh, 1, "%s", out)
	for pid := range fresh {
		require.Contains(t, after, "worker "+pid+": 3 proxies")
		require.NotRegexp(t, "worker "+pid+": .*extracted [1-9]", after)
	}
}

func pids(s string) map[string]bool {
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^worker (\d+): 3 proxies`).FindAllStringSubmatch(s, -1) {
		all[m[1]] = true
	}
	return all
}
