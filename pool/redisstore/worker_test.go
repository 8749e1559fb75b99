//go:build linux

package redisstore_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/redisstore"
)

// job is what a worker process of the storm is told.
type job struct {
	Name, Vendor, Proxy, Log string
	Redis                    []string // addresses: of one server, of the Sentinels, or of a cluster
	Sentinel, Cluster        bool
	TTL, Per                 time.Duration
	Size, Limit              int
	Strict, NoHold, NoFence  bool
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

const jobVariable = "PROXYLITE_STORM_JOB"

func TestMain(m *testing.M) {
	if s := os.Getenv(jobVariable); s != "" {
		if err := work(s); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// work is one process of a fleet: it makes requests until SIGTERM.
func work(s string) error {
	var j job
	if err := json.Unmarshal([]byte(s), &j); err != nil {
		return err
	}
	redis.SetLogger(silent{})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client := j.client()
	defer func() { _ = client.Close() }()
	store, err := redisstore.New(client, redisstore.Options{TTL: j.TTL, Strict: j.Strict})
	if err != nil {
		return err
	}
	if j.NoHold {
		store.WithoutHold()
	}
	if j.NoFence {
		store.WithoutFence()
	}
	file, err := os.OpenFile(j.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	p, err := pool.New(pool.Source{Size: j.Size, Costs: true, Name: "storm", Fetch: j.fetch},
		pool.WithStore(&logged{Store: store, file: file}), pool.WithQuota(j.Limit, j.Per), pool.WithMargin(500*time.Millisecond),
		pool.WithTransport(&http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}), pool.WithConnectTimeout(5*time.Second),
		pool.WithLogger(slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				scheme := "http"
				if i == 2 {
					scheme = "https" // a tunnel, which is kept
				}
				inner, cancel := context.WithTimeout(ctx, 5*time.Second)
				if req, err := http.NewRequestWithContext(inner, http.MethodGet, scheme+"://"+j.Name+".test/", nil); err == nil {
					if resp, err := p.Transport().RoundTrip(req); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				}
				cancel()
				select {
				case <-time.After(20 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	wg.Wait()
	return p.Close()
}

// client is one as a caller would make it, for each of the three modes.
func (j job) client() redis.UniversalClient {
	o := &redis.UniversalOptions{
		Addrs: j.Redis, MaxRetries: -1, ContextTimeoutEnabled: true, IsClusterMode: j.Cluster,
		DialTimeout: time.Second, MaxRedirects: -1,
	}
	if j.Sentinel {
		o.MasterName = "fleet"
	}
	return redis.NewUniversalClient(o)
}

func (j job) fetch(ctx context.Context, need int) ([]pool.Proxy, error) {
	begun := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/?n=%d&who=%s", j.Vendor, need, j.Name), nil)
	if err != nil {
		return nil, err
	}
	req.Close = true // never on a kept connection, which net/http would repeat it on
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var list []pool.Proxy
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		user, life, _ := strings.Cut(lines.Text(), " ")
		d, err := strconv.ParseInt(life, 10, 64)
		if err != nil {
			return list, err
		}
		e, err := proxylite.ParseEndpoint(j.Proxy + ":" + user + ":secret")
		if err != nil {
			return list, err
		}
		list = append(list, pool.Proxy{Endpoint: e, Expires: begun.Add(time.Duration(d))})
	}
	return list, nil
}

// logged writes down what a process may believe, for the checker. What it writes is
// a little more than what the pool believes, as the pool looks at its clock before.
type logged struct {
	pool.Store
	mu   sync.Mutex
	file io.Writer
	ids  map[string]string // of claims: the user name of the address
}

func (l *logged) write(format string, args ...any) {
	_, _ = fmt.Fprintf(l.file, format+"\n", args...)
}

func (l *logged) Sync(ctx context.Context, m pool.Member, r pool.Report) (pool.Standing, error) {
	sent := time.Now()
	l.mu.Lock()
	for _, d := range r.Drop {
		l.write("D %d %s", sent.UnixNano(), l.ids[d.ID])
	}
	l.mu.Unlock()
	st, err := l.Store.Sync(ctx, m, r)
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, id := range st.Lost {
			l.write("X %d %s", sent.UnixNano(), l.ids[id])
		}
		l.write("L %d %d", time.Now().UnixNano(), sent.Add(st.TTL*9/10).UnixNano())
	}
	return st, err
}

func (l *logged) Claim(ctx context.Context, m pool.Member, w pool.Want) (pool.Claim, error) {
	c, err := l.Store.Claim(ctx, m, w)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids == nil {
		l.ids = map[string]string{}
	}
	for _, h := range c.Got {
		l.ids[h.ID] = h.Endpoint.Username
		l.write("G %d %s", time.Now().UnixNano(), h.Endpoint.Username)
		l.write("E %d %s", time.Now().Add(h.Left).UnixNano(), h.Endpoint.Username)
	}
	return c, err
}

func (l *logged) Deposit(ctx context.Context, m pool.Member, g pool.Grant, spent int, got []pool.Holding) error {
	for _, h := range got {
		l.write("E %d %s", time.Now().Add(h.Left).UnixNano(), h.Endpoint.Username)
	}
	return l.Store.Deposit(ctx, m, g, spent, got)
}
