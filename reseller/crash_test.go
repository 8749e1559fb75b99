package reseller_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

const (
	crashAccounts = 5000
	crashChunk    = 100
)

// child is the process that is killed. It says on its output how far it is.
func child() int {
	client, err := proxylite.NewClient(proxylite.AppKey(os.Getenv("RESELLER_CHILD_KEY")), proxylite.WithBaseURL(os.Getenv("RESELLER_CHILD_URL")),
		proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: time.Millisecond}))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	m, err := reseller.New(client, reseller.WithPace(0), reseller.WithChunk(crashChunk), reseller.WithSettle(10*time.Millisecond),
		reseller.WithProgress(func(p reseller.Progress) { fmt.Println("progress", p.Done, p.Total) }))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	results, err := m.Ensure(context.Background(), wanted(crashAccounts))
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if memory, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Println("memory", strings.TrimSpace(memory))
		}
	}
	fmt.Println("results", len(results))
	return 0
}

// runChild runs the process, and kills it when it has done so many steps; 0 lets it
// end. It returns the last lines of its output.
func runChild(t *testing.T, server *proxylitetest.Server, killAt int) (ended bool, said []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "RESELLER_CHILD_URL="+server.URL, "RESELLER_CHILD_KEY="+server.Key)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var done, total int
		if n, _ := fmt.Sscanf(lines.Text(), "progress %d %d", &done, &total); n != 2 {
			said = append(said, lines.Text())
		} else if killAt > 0 && done >= killAt {
			require.NoError(t, cmd.Process.Kill())
			killAt = 0
		}
	}
	return cmd.Wait() == nil, said
}

// faults returns n responses of which about one in forty is lost, refused for a
// moment, or a page of the CDN.
func faults(n int, rnd *rand.Rand) []proxylitetest.Fault {
	list := make([]proxylitetest.Fault, n)
	kinds := []proxylitetest.Fault{{Cut: true}, {Cut: true, After: true}, {Status: 503}, {Status: 502, After: true}, {Status: 429}}
	for i := range list {
		if rnd.IntN(40) == 0 {
			list[i] = kinds[rnd.IntN(len(kinds))]
		}
	}
	return list
}

// 5,000 accounts come to be exactly as wanted although the API fails now and then and
// the process is killed three times. At no time are more open than a chunk has.
func TestFiveThousandAccountsAndThreeKills(t *testing.T) {
	t.Parallel()
	// The worst that an API can do: it adds a name twice when it is asked to.
	server := empty(t, proxylitetest.WithNameRules(proxylitetest.NameRules{Doubled: proxylitetest.Double}))
	rnd := rand.New(rand.NewPCG(1, 2))
	server.FailNext("Accounts.ChangeLimit", faults(4000, rnd)...)
	server.FailNext("Accounts.Add", proxylitetest.Fault{}, proxylitetest.Fault{Cut: true}, proxylitetest.Fault{Cut: true, After: true}, proxylitetest.Fault{Status: 429},
		proxylitetest.Fault{}, proxylitetest.Fault{Status: 502, After: true})
	server.FailNext("Accounts.List", proxylitetest.Fault{Status: 503}, proxylitetest.Fault{Cut: true})

	start := time.Now()
	for _, killAt := range []int{1033, 2500, 3777} {
		ended, said := runChild(t, server, killAt)
		require.False(t, ended, said)
		open := 0
		for _, a := range server.State().Accounts {
			if limit, _ := a.Limit(); limit == 0 {
				open++
			}
		}
		t.Logf("killed with %d accounts added, %d of them open", len(server.State().Accounts), open)
		require.LessOrEqual(t, open, crashChunk)
	}
	ended, said := runChild(t, server, 0)
	require.True(t, ended, said)
	requireWanted(t, server, wanted(crashAccounts))
	n := count(server)
	t.Logf("%s; %d accounts in %.1fs; requests: %v", said, crashAccounts, time.Since(start).Seconds(), n)
	// One request for each limit, one for each chunk, and what faults and kills cost.
	require.Less(t, n["Accounts.ChangeLimit"], crashAccounts*106/100)
	require.Less(t, n["Accounts.Add"], crashAccounts/crashChunk+12)
	require.Less(t, n["Accounts.List"], 30)
}
