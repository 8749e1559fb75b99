package cli_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/zalando/go-keyring"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/cmd/proxylite/internal/cli"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// now is the clock of the servers of the scripts.
var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.FixedZone("UTC+8", 8*60*60))

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"proxylite": func() {
		keyring.MockInitWithError(keyring.ErrUnsupportedPlatform) // never the keyring of who runs the tests
		os.Exit(cli.Main(""))
	}})
}

// TestScripts runs testdata/script: each has a server of its own, which the commands
// reach as a user's would.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			var actual atomic.Bool // the time of the machine, which "orders buy" compares with
			server := proxylitetest.NewServer(nil, proxylitetest.WithToken("eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl"), proxylitetest.WithNow(func() time.Time {
				if actual.Load() {
					return time.Now()
				}
				return now
			}))
			env.Values["actual"] = &actual
			env.Values["stop"] = map[string]func(){}
			env.Defer(server.Close)
			env.Values["server"] = server
			env.Setenv("PROXYLITE_APP_KEY", server.Key)
			env.Setenv("PROXYLITE_BASE_URL", server.URL)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fault": fault, "calls": calls, "exits": exits, "update": update, "terminal": terminal, "closed": closed, "same": same, "gateway": gateway, "tls": tlsServer, "sandbox": sandbox, "http": request, "proxy": proxy, "through": through,
			"stop": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Value("stop").(map[string]func())["stop"]() },
			"calls-skip": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Setenv("CALLS_SEEN", strconv.Itoa(len(serverOf(ts).Calls())))
			},
			"clock": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Value("actual").(*atomic.Bool).Store(true) },
		},
	})
}

func serverOf(ts *testscript.TestScript) *proxylitetest.Server {
	return ts.Value("server").(*proxylitetest.Server)
}

// fault OPERATION code=N | status=N | cut | after: the next response goes wrong.
func fault(ts *testscript.TestScript, _ bool, args []string) {
	var f proxylitetest.Fault
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "code":
			f.Code = n
		case "status":
			f.Status = n
		case "date":
			f.Header = http.Header{"Date": {value}}
		case "cut":
			f.Cut = true
		case "after":
			f.After = true
		default:
			ts.Fatalf("unknown fault %q", arg)
		}
	}
	serverOf(ts).FailNext(args[0], f)
}

// calls OPERATION... compares the operations that were called since the last time.
func calls(ts *testscript.TestScript, _ bool, want []string) {
	all := serverOf(ts).Calls()
	from, _ := strconv.Atoi(ts.Getenv("CALLS_SEEN"))
	ts.Setenv("CALLS_SEEN", strconv.Itoa(len(all)))
	var got []string
	for _, c := range all[from:] {
		got = append(got, c.Operation)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		ts.Fatalf("called %v, want %v", got, want)
	}
}

// exits CODE COMMAND... runs proxylite and compares its exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec("proxylite", args[1:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("proxylite %s: exit code %s, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// command is a run of proxylite with the environment of the script.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	path, err := exec.LookPath(filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "proxylite"))
	ts.Check(err)
	cmd := exec.Command(path, args...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PROXYLITE_APP_KEY", "PROXYLITE_BASE_URL", "XDG_CONFIG_HOME", "HOME", "NO_COLOR", "PATH"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	return cmd
}

// terminal INPUT CODE COMMAND... runs proxylite with a pseudo-terminal as its stdin,
// stdout and stderr, types the input, and writes what the terminal shows to the file shown. A line is
// typed when a prompt is there.
func terminal(ts *testscript.TestScript, _ bool, args []string) {
	cmd := command(ts, args[2:])
	tty, err := pty.Start(cmd)
	ts.Check(err)
	defer func() { _ = tty.Close() }()
	var shown []byte
	lines := strings.SplitAfter(strings.NewReplacer(`\n`, "\n", `\x03`, "\x03").Replace(args[0]), "\n")
	for buffer := make([]byte, 4096); ; {
		n, err := tty.Read(buffer)
		shown = append(shown, buffer[:n]...)
		if err != nil {
			break // EIO: the process has ended
		}
		if text := string(shown); len(lines) > 0 && (strings.HasSuffix(text, ": ") || strings.HasSuffix(text, "[y/N] ")) {
			_, err = tty.WriteString(lines[0])
			ts.Check(err)
			lines = lines[1:]
		}
	}
	code := "0"
	if exit, ok := errors.AsType[*exec.ExitError](cmd.Wait()); ok {
		code = strconv.Itoa(exit.ExitCode())
	}
	ts.Check(os.WriteFile(ts.MkAbs("shown"), []byte(strings.ReplaceAll(string(shown), "\r\n", "\n")), 0o600))
	if code != args[1] {
		ts.Fatalf("exit code %s, want %s; it shows:\n%s", code, args[1], shown)
	}
}

// closed COMMAND... runs proxylite with a stdout that nobody reads.
func closed(ts *testscript.TestScript, _ bool, args []string) {
	r, w, err := os.Pipe()
	ts.Check(err)
	ts.Check(r.Close())
	for err == nil { // a process that was forked just now can have the other end for a moment
		_, err = w.Write(make([]byte, 4096))
	}
	cmd := command(ts, args)
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = w, &stderr
	err = cmd.Run()
	ts.Check(errors.Join(err, w.Close(), os.WriteFile(ts.MkAbs("stderr"), []byte(stderr.String()), 0o600)))
}

// update changes what the server holds.
func update(ts *testscript.TestScript, _ bool, args []string) {
	serverOf(ts).Update(func(s *proxylitetest.State) {
		switch args[0] {
		case "not-verified":
			s.User.IsRealName = new(false)
		case "not-allowed":
			s.CallerNotAllowed = true
		case "ending":
			s.Products[0].ExpiredAt = time.Now().Add(50 * time.Hour)
			s.StaticIPs[0].ExpiredAt = time.Now().Add(50 * time.Hour)
		case "steady": // 1 GB a day, by two accounts: one of them from day to day the same
			for day := 1; day <= 14; day++ {
				at := time.Now().In(now.Location()).AddDate(0, 0, -day)
				s.Use("even", at, proxylite.GB)
				s.Use("uneven", at, 2*proxylite.Traffic(day%2)*proxylite.GB)
			}
		case "full":
			s.Accounts[1].Used = 5 * proxylite.GB
		case "healthy":
			s.Accounts = s.Accounts[:2]
			s.Products, s.StaticIPs = s.Products[:1], s.StaticIPs[:1]
			s.Products[0].ExpiredAt, s.StaticIPs[0].ExpiredAt = time.Time{}, time.Time{}
		case "stock":
			s.IPStock, _ = strconv.Atoi(args[1])
		case "remark":
			s.Accounts[0].Remark = strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\e`, "\x1b").Replace(args[1])
		case "orders":
			n, _ := strconv.Atoi(args[1])
			s.Orders = make([]proxylite.Order, n)
			for i := range s.Orders {
				s.Orders[i] = proxylite.Order{ID: int64(i + 1), TradeNo: fmt.Sprintf("%028d", i+1), ProductName: "专业级", PayFee: "1.00", TotalFee: "1.00", CreatedAt: now}
			}
		default:
			ts.Fatalf("unknown update %q", args[0])
		}
	})
}

// gateway [STATUS] starts the gateway of the server, which may refuse, and a target that
// says hello, and below /count how often it was asked.
func gateway(ts *testscript.TestScript, _ bool, args []string) {
	var asked atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/count" {
			_, _ = fmt.Fprint(w, asked.Add(1))
			return
		}
		_, _ = io.WriteString(w, "hello")
	}))
	ts.Defer(target.Close)
	ts.Setenv("TARGET", target.URL)
	ts.Setenv("GATEWAY", serverOf(ts).Gateway().String())
	status, _ := strconv.Atoi(strings.Join(args, ""))
	serverOf(ts).Gateway().SetFault(proxylitetest.ProxyFault{Status: status})
}

// tls starts a server whose certificate nobody knows.
func tlsServer(ts *testscript.TestScript, _ bool, _ []string) {
	target := httptest.NewUnstartedServer(http.NotFoundHandler())
	target.Config.ErrorLog = log.New(io.Discard, "", 0)
	target.StartTLS()
	ts.Defer(target.Close)
	ts.Setenv("PROXYLITE_BASE_URL", target.URL)
}

// sandbox ARGS... starts proxylite sandbox on a free port and sets SANDBOX to its URL.
func sandbox(ts *testscript.TestScript, _ bool, args []string) {
	cmd := command(ts, append([]string{"sandbox", "--listen", "127.0.0.1:0"}, args...))
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		ts.Check(cmd.Process.Signal(os.Interrupt))
		ts.Check(cmd.Wait())
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	ts.Check(err)
	ts.Setenv("SANDBOX", strings.TrimSpace(strings.TrimPrefix(line, "PROXYLITE_BASE_URL=")))
}

// proxy ARGS... starts proxylite proxy on a free port and sets PROXY to its address; "stop"
// ends it as Ctrl-C does, and its stderr is stdout.
func proxy(ts *testscript.TestScript, _ bool, args []string) {
	cmd := command(ts, append([]string{"proxy", "--listen", "127.0.0.1:0"}, args...))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if slices.Contains(args, "--password-stdin") {
		cmd.Stdin = strings.NewReader(ts.ReadFile("password"))
	}
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	stopped := false
	ts.Defer(func() {
		if !stopped {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	ts.Check(err)
	ts.Setenv("PROXY", strings.Fields(line)[2])
	ts.Value("stop").(map[string]func())["stop"] = func() {
		stopped = true
		ts.Check(cmd.Process.Signal(os.Interrupt))
		ts.Check(cmd.Wait())
		_, _ = io.WriteString(ts.Stdout(), stderr.String())
	}
}

// through URL USER gets a page through the proxy of PROXY; its body is stdout.
func through(ts *testscript.TestScript, _ bool, args []string) {
	via, err := url.Parse(ts.Getenv("PROXY"))
	ts.Check(err)
	if len(args) > 1 {
		name, password, _ := strings.Cut(args[1], ":")
		via.User = url.UserPassword(name, password)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(via)}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(args[0])
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	_, _ = fmt.Fprintf(ts.Stdout(), "%d ", resp.StatusCode)
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}

// request METHOD URL [BODY] sends a request; its response is stdout.
func request(ts *testscript.TestScript, _ bool, args []string) {
	body := strings.Join(args[2:], "")
	req, err := http.NewRequest(args[0], args[1], strings.NewReader(body))
	ts.Check(err)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}
