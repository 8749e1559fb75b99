// Package examples has programs that run without an account; see its README line
// in each. Its test runs them all.
package examples

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every program of this module runs to its end without a credential, with status
// 0, and prints no secret on the way.
func TestProgramsRunWithoutAnAccount(t *testing.T) {
	t.Parallel()
	programs, err := filepath.Glob("*/main.go")
	require.NoError(t, err)
	require.NotEmpty(t, programs)
	bin := t.TempDir()
	for i, p := range programs {
		programs[i] = filepath.Dir(p)
	}
	build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", bin + string(filepath.Separator)}, prefixed(programs)...)...)
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	for _, name := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var stdout, stderr bytes.Buffer
			program := exec.CommandContext(ctx, filepath.Join(bin, name))
			program.Env = withoutCredential()
			program.Stdout, program.Stderr = &stdout, &stderr
			require.NoError(t, program.Run(), "%s\n%s", &stdout, &stderr)
			require.NotEmpty(t, stdout.String())
			require.NotContains(t, stdout.String()+stderr.String(), "0123456789abcdef0123456789abcdef", "the key")
			if name != "tour" { // whose help says that it does
				require.NotContains(t, stdout.String()+stderr.String(), "alice2024", "the password of an account")
			}
		})
	}
}

func prefixed(names []string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = "./" + name
	}
	return paths
}

func withoutCredential() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PROXYLITE_") {
			env = append(env, v)
		}
	}
	return env
}
