// Package examples has no code: each folder is a program that does one task, and
// that runs without an account. Its test runs them all.
package examples_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// bin has the programs, built once.
var bin string

var programs []string

func TestMain(m *testing.M) {
	status, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func buildAndRun(m *testing.M) (status int, err error) {
	if bin, err = os.MkdirTemp("", "examples"); err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	mains, err := filepath.Glob("*/main.go")
	if err != nil {
		return 0, err
	}
	args := []string{"build", "-o", bin + string(filepath.Separator)}
	for _, file := range mains {
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), "go.mod")); err == nil {
			continue // a module of its own
		}
		programs = append(programs, filepath.Dir(file))
		args = append(args, "./"+filepath.Dir(file))
	}
	build := exec.Command("go", args...)
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// run runs a program with no other credential in its environment than env has.
func run(t *testing.T, env []string, program string, args ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, program), args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PROXYLITE_") }), env...)
	out, err := cmd.CombinedOutput()
	require.NotContains(t, string(out), "0123456789abcdef0123456789abcdef", "the key")
	return string(out), err
}

func TestProgramsRunWithoutAnAccount(t *testing.T) {
	t.Parallel()
	for _, program := range programs {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			out, err := run(t, nil, program)
			require.NoError(t, err, out)
			require.NotEmpty(t, out)
			require.NotContains(t, out, "alice2024", "the password of an account")
		})
	}
}

// account is an API that the programs don't know to be in a test.
func account(t *testing.T) (api *proxylitetest.Server, env []string) {
	t.Helper()
	api = proxylitetest.NewServer(t)
	return api, []string{"PROXYLITE_BASE_URL=" + api.URL, "PROXYLITE_APP_KEY=" + api.Key}
}

// With a credential, no program changes or spends anything unless it is asked to.
func TestProgramsChangeNothingUnasked(t *testing.T) {
	t.Parallel()
	for _, program := range programs {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			api, env := account(t)
			before := api.State()
			out, err := run(t, env, program)
			require.NoError(t, err, out)
			require.Equal(t, before, api.State())
			for _, call := range api.Calls() {
				require.Equal(t, "GET", call.Method, call.Operation)
				require.NotEqual(t, "IP.Extract", call.Operation)
			}
		})
	}
}

func TestResellerAddsEachCustomerOnce(t *testing.T) {
	t.Parallel()
	api, env := account(t)
	before := api.State().Accounts
	env = append(env, "SHOP_SECRET=shop")
	args := []string{"-write", "-limit", "2", "-customers"}
	out, err := run(t, env, "reseller", append(args, "3")...)
	require.NoError(t, err, out)
	out, err = run(t, env, "reseller", append(args, "5")...)
	require.NoError(t, err, out)
	require.Contains(t, out, "2 of 5 accounts were added or changed")
	out, err = run(t, env, "reseller", append(args, "5")...)
	require.NoError(t, err, out)
	require.Contains(t, out, "has 0 steps")

	added := api.State().Accounts[len(before):]
	require.Len(t, added, 5)
	for _, a := range added {
		limit, ok := a.Limit()
		require.True(t, ok)
		require.Equal(t, 2*proxylite.GB, limit)
		require.NotContains(t, out, a.Password.Reveal())
	}
}

// A webhook gets each event once, signed, and an event that it refused again.
func TestWatchPostsSignedEvents(t *testing.T) {
	t.Parallel()
	api, env := account(t)
	api.Update(func(st *proxylitetest.State) { st.Use("bob", time.Now(), 5*proxylite.GB) })
	var posts atomic.Int32
	received := make(chan string, 100)
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		stamp, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("X-Signature"), "t="), ",")
		mac := hmac.New(sha256.New, []byte("shared"))
		mac.Write([]byte(stamp + "." + string(body)))
		if r.Header.Get("X-Signature") != fmt.Sprintf("t=%s,v1=%x", stamp, mac.Sum(nil)) {
			received <- "wrong signature"
		}
		if posts.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		received <- string(body)
	}))
	defer webhook.Close()
	env = append(env, "WEBHOOK_SECRET=shared")
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "watch"), "-webhook", webhook.URL, "-state", filepath.Join(t.TempDir(), "state"), "-every", "50ms", "-disable", "100")
	cmd.Env = append(os.Environ(), env...)
	require.NoError(t, cmd.Start())
	told := map[string]int{}
	for len(told) < 5 { // three plans come to their end
		body := <-received
		told[body]++
		require.Equal(t, 1, told[body], body)
		require.NotEqual(t, "wrong signature", body)
	}
	cancel()
	_ = cmd.Wait()
	all := fmt.Sprint(told)
	require.Contains(t, all, "Account bob has used 158 %", "it was refused at first")
	require.Contains(t, all, "Account bob was disabled")
	require.Equal(t, proxylite.AccountDisabled, api.State().Accounts[1].Status)
}

// A day without traffic is printed too.
func TestUsagePrintsEveryDay(t *testing.T) {
	t.Parallel()
	api, env := account(t)
	used := time.Now().AddDate(0, 0, -3)
	api.Update(func(st *proxylitetest.State) {
		st.Usage = nil
		st.Use("bob", used, 5*proxylite.GB)
	})
	out, err := run(t, env, "usage")
	require.NoError(t, err, out)
	require.Contains(t, out, used.In(time.FixedZone("UTC+8", 8*60*60)).Format(time.DateOnly)+" 5 GB\n")
	require.Equal(t, 6, strings.Count(out, " 0 KB\n")-strings.Count(out, "in all: 0 KB\n"), out)
	require.Equal(t, 1, strings.Count(out, "in all: 5 GB\n"), out)
}

// buys runs a program that buys, with a journal, against an API that fails once. It runs
// it again until it is done, and returns what it said.
func buys(t *testing.T, fault proxylitetest.Fault, program string, args ...string) (api *proxylitetest.Server, said string) {
	t.Helper()
	api, env := account(t)
	api.FailNext("Orders.Create", fault)
	args = append(args, "-write", "-journal", filepath.Join(t.TempDir(), "journal"))
	before := len(api.State().Orders)
	for range 3 { // the first may fail, the last must find all done
		out, err := run(t, env, program, args...)
		require.LessOrEqual(t, len(api.State().Orders), before+1, out)
		if said += out; err != nil {
			continue
		}
		require.Len(t, api.State().Orders, before+1, out)
	}
	require.Len(t, api.State().Orders, before+1, said)
	return api, said
}

var responses = map[string]proxylitetest.Fault{
	"returned":          {},
	"response lost":     {After: true, Cut: true},
	"refused":           {Code: 400},
	"page in its place": {After: true, Status: 502},
}

// Whatever becomes of the response, there is one order, however often the program runs.
func TestRenewOrdersOnce(t *testing.T) {
	t.Parallel()
	responses := maps.Clone(responses)
	responses["order lost"] = proxylitetest.Fault{Cut: true}
	for name, fault := range responses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, said := buys(t, fault, "renew", "-list-delay", "50ms")
			require.Contains(t, said, "6 static IPs: purchase")
			require.Contains(t, said, "nothing is to be renewed")
		})
	}
}

func TestBuyBuysOnce(t *testing.T) {
	t.Parallel()
	for name, fault := range responses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, said := buys(t, fault, "buy", "-key", "november")
			orders := api.State().Orders
			require.Contains(t, said, `purchase "november": made, order `+orders[len(orders)-1].TradeNo)
		})
	}
}

func TestBuyClosesWhatCostsTooMuch(t *testing.T) {
	t.Parallel()
	api, env := account(t)
	out, err := run(t, env, "buy", "-write", "-max", "18.19", "-journal", filepath.Join(t.TempDir(), "journal"))
	require.Error(t, err)
	require.Contains(t, out, "above the limit 18.19")
	orders := api.State().Orders
	require.Equal(t, proxylite.OrderCancelled, orders[len(orders)-1].Status)
}

// Each kind of failure leads to what is to be done about it.
func TestErrorsAreTold(t *testing.T) {
	t.Parallel()
	out, err := run(t, nil, "errors")
	require.NoError(t, err, out)
	var todo []string
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(line, "  to do: "); ok {
			todo = append(todo, strings.TrimSpace(text))
		}
	}
	require.Equal(t, []string{
		"fix the program: limit is wrong",
		"stop, and have a person put a new key in",
		"stop, and have a person go to the dashboard",
		"add 203.0.113.7 to the allow list in the dashboard",
		`show it to a person: code 400, details {"account":["账户不存在: nobody"]}`,
		"call again after 1h0m0s",
		"look whether it happened, after 1h0m0s",
		"call again later",
		"look whether it happened; package purchase does so for orders",
		"nothing: we gave it up ourselves",
	}, todo)
}

func TestLoggingShowsAttemptsAndNoSecret(t *testing.T) {
	t.Parallel()
	out, err := run(t, nil, "logging")
	require.NoError(t, err, out)
	require.Contains(t, out, "status=503")
	require.Contains(t, out, "1 calls, 0 failed, 1 retries")
	require.NotContains(t, out, "password")
	require.Equal(t, 3, strings.Count(out, "msg=attempt request_id="), "two of one call, one of the other")
}

func TestQuickstartWalksTheMainJob(t *testing.T) {
	t.Parallel()
	out, err := run(t, nil, "quickstart")
	require.NoError(t, err, out)
	for _, text := range []string{
		"a ProxyLite in this process", "pl-alice", "made by the quickstart", "███", `"Hello from the target site!"`,
		"bought, and closed again: order", "Quantity: is required", "deleting quick",
	} {
		require.Contains(t, out, text)
	}
	require.NotContains(t, out, "left out")
}

// A step that fails does not end the others, but shows in the exit status.
func TestQuickstartFailsWithAWrongKey(t *testing.T) {
	t.Parallel()
	api, _ := account(t)
	out, err := run(t, []string{"PROXYLITE_BASE_URL=" + api.URL, "PROXYLITE_APP_KEY=00000000000000000000000000000000"}, "quickstart")
	require.Error(t, err)
	require.Contains(t, out, "copy the app_key anew from the dashboard")
	require.Contains(t, out, "2 steps failed")

	out, err = run(t, []string{"PROXYLITE_BASE_URL=" + api.URL}, "quickstart")
	require.Error(t, err)
	require.Contains(t, out, "set PROXYLITE_APP_KEY")
}
