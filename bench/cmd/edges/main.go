// Command edges runs the SDK against real servers: nginx, Apache with ModSecurity and
// the OWASP core rules, and HAProxy, over TLS and HTTP/2, all on loopback. Every
// operation must pass each of them. Under a load from 64 goroutines each call must
// succeed, and the origin behind the servers must receive it exactly once. The same
// load from a client written with net/http alone is there for comparison.
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

var (
	tour     = flag.String("tour", "", "`path` of the built program examples/tour; without it only the loads run")
	only     = flag.String("edge", "", "only the edges whose name contains `text`")
	calls    = flag.Int("calls", 10000, "maximum of calls in each load")
	duration = flag.Duration("duration", 3*time.Second, "maximum of time for each load")
	delay    = flag.Duration("delay", 5*time.Millisecond, "how long the origin waits before each response")
	keep     = flag.Bool("keep", false, "keep the directory of configurations and logs")
)

const (
	goroutines = 64 // that make calls at the same time

	// starts is how often a load begins anew, on new connections: the first requests
	// go out before the client knows how many streams the server allows.
	starts = 5
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	ok, err := run(ctx)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "edges:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// edge is a server as the clients see it.
type edge struct {
	name, addr string
	http1      bool
	reloads    string // which server is reloaded during the load, three times
}

func edges(s *servers) []edge {
	return []edge{
		{name: "nginx, defaults", addr: s.NginxDefaults},
		{name: "nginx, 3 reloads", addr: s.NginxDefaults, reloads: "nginx"},
		{name: "nginx, 100 requests/connection", addr: s.NginxShort},
		{name: "nginx, the same, 8 streams", addr: s.NginxFewStreams},
		{name: "nginx, the same, HTTP/1.1", addr: s.NginxHTTP1, http1: true},
		{name: "Apache with core rules", addr: s.Rules},
		{name: "nginx unbuffered, core rules", addr: s.NginxUnbuffered},
		{name: "HAProxy, nginx", addr: s.HAProxyNginx},
		{name: "HAProxy, nginx, 3 reloads", addr: s.HAProxyNginx, reloads: "haproxy"},
		{name: "HAProxy, core rules", addr: s.HAProxyRules},
	}
}

// run prints the table, row by row, and then the problems. It reports whether there
// are none.
func run(ctx context.Context) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "edges")
	if err != nil {
		return false, err
	}
	if *keep {
		fmt.Println("configurations and logs:", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // for www-data
		return false, err
	}
	o, err := startOrigin()
	if err != nil {
		return false, err
	}
	defer o.close()
	s := &servers{Dir: dir, Root: os.Geteuid() == 0, Origin: o.addr, running: map[string]*process{}}
	defer s.stop()
	if err := s.start(); err != nil {
		return false, err
	}

	fmt.Printf("%s, %d CPUs, %d goroutines, response after %s\n\n", runtime.Version(), runtime.NumCPU(), goroutines, *delay)
	fmt.Println(heading)
	var problems []string
	for _, e := range edges(s) {
		if !strings.Contains(e.name, *only) || ctx.Err() != nil {
			continue
		}
		found, err := check(ctx, s, o, e)
		if err != nil {
			found = append(found, fmt.Sprintf("%s: %v", e.name, errors.Join(err, s.failed())))
		}
		problems = append(problems, found...)
	}
	if len(problems) == 0 {
		fmt.Println("\nproxylite: every call succeeded and was received exactly once.")
		return true, nil
	}
	fmt.Println("\nProblems:")
	for _, p := range append(problems, s.rulesThatMatched()...) {
		fmt.Println(p)
	}
	return false, nil
}

// check runs the tour and the loads against one edge.
func check(ctx context.Context, s *servers, o *origin, e edge) (problems []string, err error) {
	baseURL := "https://" + strings.Replace(e.addr, "127.0.0.1", "localhost", 1)
	if err := ready(ctx, s, e, baseURL); err != nil {
		return nil, err
	}
	if *tour != "" {
		for _, p := range runTour(ctx, *tour, baseURL, s.path("ca.pem"), o) {
			problems = append(problems, fmt.Sprintf("%s, tour: %s", e.name, p))
		}
	}
	for _, newClient := range []func(string, *x509.CertPool) (client, error){sdk, handWritten} {
		c, err := newClient(baseURL, s.roots)
		if err != nil {
			return nil, err
		}
		o.reset(*delay)
		reloaded := make(chan error, 1)
		go func() { reloaded <- s.reload(ctx, e.reloads, *duration) }()
		l := load{goroutines, *calls / starts, *duration / starts}
		if e.reloads != "" {
			l.calls *= 100 // so that it lasts until the time is over, through all reloads
		}
		var results []result
		for range starts {
			results = append(results, l.run(ctx, c)...)
			c.close()
		}
		if err := errors.Join(<-reloaded, ctx.Err()); err != nil {
			return nil, err
		}
		reads, spends := judge(results, o.received())
		fmt.Println(reads.line(e.name, c.name, "reads"))
		fmt.Println(spends.line(e.name, c.name, "spends"))
		if c.name != sdkName {
			continue
		}
		for _, p := range reads.problems() {
			problems = append(problems, fmt.Sprintf("%s, reads: %s", e.name, p))
		}
		for _, p := range spends.problems() {
			problems = append(problems, fmt.Sprintf("%s, calls that spend: %s", e.name, p))
		}
	}
	return problems, nil
}

// ready waits until the edge responds, and checks that it speaks the protocol that
// it is there for.
func ready(ctx context.Context, s *servers, e edge, baseURL string) error {
	t := transport(s.roots)
	defer t.CloseIdleConnections()
	c := &http.Client{Transport: t, Timeout: attemptTimeout}
	for last := time.Now().Add(20 * time.Second); ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+"/end-point/user/info?app_key="+key, nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("the response to a plain GET is %s", resp.Status)
			}
			if resp.ProtoMajor == 1 != e.http1 {
				return fmt.Errorf("it speaks %s", resp.Proto)
			}
			return nil
		}
		if time.Now().After(last) || ctx.Err() != nil || s.failed() != nil {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
