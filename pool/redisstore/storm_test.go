//go:build linux

package redisstore_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool/redisstore"
)

// storm is a fleet of real processes over real proxies, and what goes wrong with it.
type storm struct {
	t       *testing.T
	redis   *server
	vendor  *httptest.Server
	proxies *httptest.Server
	job     job
	dir     string

	mu       sync.Mutex
	rand     *rand.Rand
	ends     map[string]time.Time // of addresses, by user name
	sold     []time.Time
	lives    time.Duration // sold
	fetching int
	together int   // fetches at the same time
	uses     []use // as the proxies saw them

	workers []*worker
	all     []*worker
	faults  []string // what goes wrong, in turn
	other   func()   // a fault of the servers
	repeat  float64  // the share of what is sold that was sold before
}

type use struct {
	who, user string
	at        time.Time
}

type worker struct {
	name  string
	cmd   *exec.Cmd
	born  time.Time
	died  time.Time
	conts []time.Time // when it was continued
}

func newStorm(t *testing.T, change func(*job)) *storm {
	s := &storm{t: t, dir: t.TempDir(), rand: rand.New(rand.NewPCG(1, 2)), ends: map[string]time.Time{}, repeat: 1. / 3}
	s.vendor = httptest.NewServer(http.HandlerFunc(s.sell))
	t.Cleanup(s.vendor.Close)
	s.proxies = httptest.NewUnstartedServer(http.HandlerFunc(s.proxy))
	s.proxies.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.proxies.Start()
	t.Cleanup(s.proxies.Close)
	s.job = job{
		Vendor: s.vendor.URL, Proxy: s.proxies.Listener.Addr().String(),
		TTL: 2 * time.Second, Size: 8, Limit: 2000, Per: time.Minute,
	}
	s.faults = []string{
		"a process is killed", "a process is stopped and continued", "Redis restarts with its data", "a process is killed",
		"Redis restarts without data", "Redis is stopped and continued",
	}
	change(&s.job)
	if s.job.Redis == nil {
		s.redis = newServer(t, "--appendonly", "yes", "--appendfsync", "everysec")
		s.job.Redis = []string{s.redis.addr()}
	}
	client := s.job.client()
	defer func() { require.NoError(t, client.Close()) }()
	store, err := redisstore.New(client, redisstore.Options{TTL: s.job.TTL})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return store.Create(t.Context(), "storm") == nil }, time.Minute, 100*time.Millisecond)
	return s
}

// sell is the vendor. Some of what it sells are addresses that it has sold before, and
// of one response in twenty nobody hears.
func (s *storm) sell(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("n"))
	s.mu.Lock()
	if s.fetching++; s.fetching > 1 {
		s.together++
	}
	var out strings.Builder
	for range n {
		life := 8*time.Second + time.Duration(s.rand.Int64N(int64(17*time.Second)))
		user := fmt.Sprint("a", len(s.ends))
		if len(s.ends) > 0 && s.rand.Float64() < s.repeat {
			user = fmt.Sprint("a", s.rand.IntN(len(s.ends)))
		}
		now := time.Now()
		if end := now.Add(life); end.After(s.ends[user]) {
			s.ends[user] = end
		}
		s.sold = append(s.sold, now)
		s.lives += life
		fmt.Fprintln(&out, user, int64(life))
	}
	lost := s.rand.IntN(20) == 0
	s.mu.Unlock()
	time.Sleep(50 * time.Millisecond)
	s.mu.Lock()
	s.fetching--
	s.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(w, out.String())
}

// proxy is all proxies: the user name says which one.
func (s *storm) proxy(w http.ResponseWriter, r *http.Request) {
	req := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	user, _, _ := req.BasicAuth()
	s.saw(r.Host, user)
	if r.Method != http.MethodConnect {
		_, _ = io.WriteString(w, "hello")
		return
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	secure := tls.Server(conn, s.certificate())
	for lines := bufio.NewReader(secure); ; {
		r, err := http.ReadRequest(lines)
		if err != nil {
			return
		}
		s.saw(r.Host, user)
		if _, err := io.WriteString(secure, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"); err != nil {
			return
		}
	}
}

var certificate = sync.OnceValue(func() *tls.Config {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates}
})

func (s *storm) certificate() *tls.Config { return certificate() }

func (s *storm) saw(host, user string) {
	who, _, _ := strings.Cut(host, ".")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses = append(s.uses, use{who, user, time.Now()})
}

func (s *storm) used() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uses)
}

func (s *storm) start() {
	w := &worker{name: fmt.Sprint("w", len(s.all)), born: time.Now()}
	j := s.job
	j.Name, j.Log = w.name, filepath.Join(s.dir, w.name)
	body, err := json.Marshal(j)
	require.NoError(s.t, err)
	w.cmd = exec.Command(os.Args[0])
	w.cmd.Env = append(os.Environ(), jobVariable+"="+string(body), "GOMAXPROCS=1")
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	w.cmd.Stderr = os.Stderr
	require.NoError(s.t, w.cmd.Start())
	s.workers, s.all = append(s.workers, w), append(s.all, w)
}

func (w *worker) end(signal os.Signal) {
	_ = w.cmd.Process.Signal(signal)
	_ = w.cmd.Wait()
	w.died = time.Now()
}

// fault is what goes wrong next.
func (s *storm) fault(n int) string {
	s.mu.Lock()
	i := s.rand.IntN(len(s.workers))
	s.mu.Unlock()
	w := s.workers[i]
	what := s.faults[n%len(s.faults)]
	switch what {
	case "a process is killed":
		w.end(syscall.SIGKILL)
		s.workers = slices.Delete(s.workers, i, i+1)
		s.start()
	case "a process is stopped and continued":
		_ = w.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(s.job.TTL * 2)
		w.conts = append(w.conts, time.Now())
		_ = w.cmd.Process.Signal(syscall.SIGCONT)
	case "Redis restarts with its data":
		s.redis.kill()
		time.Sleep(s.job.TTL / 4)
		s.redis.start()
	case "Redis restarts without data":
		s.redis.kill()
		s.redis.lose()
		s.redis.start()
	case "Redis is stopped and continued":
		_ = s.redis.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(s.job.TTL * 3 / 2)
		_ = s.redis.cmd.Process.Signal(syscall.SIGCONT)
	default:
		s.other()
	}
	return what
}

// span is a time in which a process may use an address.
type span struct {
	who      string
	from, to time.Time
}

// spans reads what the processes have believed.
func (s *storm) spans() map[string][]span {
	all := map[string][]span{}
	for _, w := range s.all {
		file, err := os.Open(filepath.Join(s.dir, w.name))
		if err != nil {
			continue // it died before it began
		}
		var leases []span
		open, ends := map[string]time.Time{}, map[string]time.Time{} // of the address, as the process knows
		claims := map[string][]span{}
		end := w.died
		for lines := bufio.NewScanner(file); lines.Scan(); {
			f := strings.Fields(lines.Text())
			if len(f) != 3 || len(f[0]) != 1 {
				continue
			}
			nanos, _ := strconv.ParseInt(f[1], 10, 64)
			at := time.Unix(0, nanos)
			switch f[0] {
			case "L":
				until, _ := strconv.ParseInt(f[2], 10, 64)
				leases = append(leases, span{w.name, at, time.Unix(0, until)})
			case "G":
				open[f[2]] = at
			case "E":
				ends[f[2]] = later(ends[f[2]], at)
			case "D", "X":
				if from, ok := open[f[2]]; ok {
					delete(open, f[2])
					claims[f[2]] = append(claims[f[2]], span{w.name, from, earlier(at, ends[f[2]])})
				}
			}
		}
		_ = file.Close()
		for user, from := range open {
			claims[user] = append(claims[user], span{w.name, from, earlier(end, ends[user])})
		}
		for user, list := range claims {
			for _, c := range list {
				for _, l := range merged(leases) {
					if from, to := later(c.from, l.from), earlier(earlier(c.to, l.to), end); from.Before(to) {
						all[user] = append(all[user], span{w.name, from, to})
					}
				}
			}
		}
	}
	return all
}

func merged(list []span) (out []span) {
	for _, l := range list {
		if n := len(out); n > 0 && !l.from.After(out[n-1].to) {
			out[n-1].to = later(out[n-1].to, l.to)
			continue
		}
		out = append(out, l)
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// verdict is what the checker found.
type verdict struct {
	claims, twice int // claims, and those that overlap another process's
	uses          int
	late, foreign int // uses after the claim's end; while another process had the claim
	escaped       int // those of processes that had just been continued
	expired       int
	together      int
	sold, peak    int
	lives         time.Duration
	longest       time.Duration // of late ones
	demand        float64
}

func (s *storm) judge(slack time.Duration) (v verdict) {
	all := s.spans()
	for _, list := range all {
		slices.SortFunc(list, func(a, b span) int { return a.from.Compare(b.from) })
		v.claims += len(list)
		for i := range list {
			for j := i + 1; j < len(list) && list[j].from.Before(list[i].to); j++ {
				if list[j].who != list[i].who {
					v.twice++
				}
			}
		}
	}
	conts := map[string][]time.Time{}
	for _, w := range s.all {
		conts[w.name] = w.conts
	}
	for _, u := range s.uses {
		v.uses++
		if u.at.After(s.ends[u.user].Add(slack)) {
			v.expired++
		}
		best, foreign := time.Hour, false
		for _, c := range all[u.user] {
			if c.who != u.who {
				foreign = foreign || u.at.After(c.from) && u.at.Before(c.to)
				continue
			}
			if !u.at.Before(c.from) {
				best = min(best, max(0, u.at.Sub(c.to)))
			}
		}
		justContinued := slices.ContainsFunc(conts[u.who], func(t time.Time) bool { return u.at.After(t) && u.at.Sub(t) < slack })
		switch {
		case best == 0 && !foreign:
		case justContinued:
			v.escaped++
		case foreign:
			v.foreign++
		case best > slack:
			v.late++
		}
		if best < time.Hour {
			v.longest = max(v.longest, best)
		}
	}
	v.together, v.sold, v.lives = s.together, len(s.sold), s.lives
	for i, at := range s.sold {
		n := 1
		for _, other := range s.sold[i+1:] {
			if other.Sub(at) < s.job.Per {
				n++
			}
		}
		v.peak = max(v.peak, n)
	}
	return v
}

// run lets a fleet of n processes make requests while faults happen, until it is enough.
func (s *storm) run(n int, enough func(faults int) bool) verdict {
	begun := time.Now()
	for range n {
		s.start()
	}
	for i := 0; !enough(i) && time.Since(begun) < 5*time.Minute; i++ {
		time.Sleep(s.job.TTL * 3 / 4)
		what := s.fault(i)
		s.mu.Lock()
		s.t.Logf("%5.1f s, %d uses, %d sold: %s", time.Since(begun).Seconds(), len(s.uses), len(s.sold), what)
		s.mu.Unlock()
	}
	time.Sleep(s.job.TTL * 2)
	took := time.Since(begun)
	for _, w := range s.workers {
		w.end(syscall.SIGTERM)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.judge(s.job.TTL / 4)
	mean := s.lives/time.Duration(len(s.sold)) - 500*time.Millisecond
	v.demand = float64(n*s.job.Size) * (1 + took.Seconds()/mean.Seconds())
	s.t.Logf("%d processes (%d lives) in %v: %+v", n, len(s.all), took, v)
	return v
}

// long is how much is done, by default and with PROXYLITE_LONG.
func long(short, long int) int {
	if os.Getenv("PROXYLITE_LONG") != "" {
		return long
	}
	return short
}

// Eight processes share what one of them fetches, while processes are killed, stopped
// and continued, and Redis is restarted with and without its data, and stopped.
func TestAFleetInAStorm(t *testing.T) {
	t.Parallel()
	requests, rounds := long(4000, 40_000), long(1, 2)
	s := newStorm(t, func(*job) {})
	v := s.run(8, func(faults int) bool { return s.used() >= requests && faults >= rounds*len(s.faults) })
	v.safe(t)
	require.LessOrEqual(t, v.escaped, len(s.all), "writes between check and stop")
	require.LessOrEqual(t, float64(v.sold), 1.1*v.demand, "extractions")
}

// A strict quota is never passed, whatever Redis loses.
func TestAStrictQuotaInAStorm(t *testing.T) {
	t.Parallel()
	s := newStorm(t, func(j *job) { j.Strict, j.Limit, j.Per = true, 60, 8*time.Second })
	v := s.run(4, func(faults int) bool { return faults >= len(s.faults) })
	require.LessOrEqual(t, v.peak, s.job.Limit, "sold in any interval")
	require.Zero(t, v.twice)
	require.Zero(t, v.together)
	require.Greater(t, v.sold, s.job.Limit, "more than one interval")
}

// The same run without the hold, or without the fence, shows that the checker can see.
func TestTheCheckerSeesWhatTheHoldIsFor(t *testing.T) {
	t.Parallel()
	s := newStorm(t, func(j *job) { j.NoHold = true })
	s.faults = []string{"a process is killed", "Redis restarts without data"}
	s.repeat = 0.8
	v := s.run(8, func(int) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.judge(0).twice > 0
	})
	require.NotZero(t, v.twice)
}

func TestTheCheckerSeesWhatTheFenceIsFor(t *testing.T) {
	t.Parallel()
	s := newStorm(t, func(j *job) { j.NoFence = true })
	s.faults = []string{"a process is killed"}
	v := s.run(8, func(int) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.together > 0
	})
	require.NotZero(t, v.together)
}
