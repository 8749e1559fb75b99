// Command table runs all works through all contestants, interleaved, and prints
// their ratios to the floor.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/proxylite/proxylite-go/bench"
)

type work struct {
	name    string
	world   string
	network bool
	n       int // repetitions in a round
	turns   int // rounds for each of -rounds: many short ones where the machine's noise is larger than a call
	calls   int // of the API in one repetition, at once from 64 goroutines where above 1
	do      func(bench.Client, context.Context) (int, error)
	want    int
}

const workers = 64

var works = []work{
	{"one call, loopback", "1", true, 100, 10, 1, bench.Client.Accounts, 1},
	{"one call, in memory", "1", false, 400, 5, 1, bench.Client.Accounts, 1},
	{"1,000 accounts, in memory", "1000", false, 20, 1, 1, bench.Client.Accounts, 1000},
	{"10,000 accounts, in memory", "10000", false, 4, 1, 1, bench.Client.Accounts, 10000},
	{"10,000 accounts, loopback", "10000", true, 4, 1, 1, bench.Client.Accounts, 10000},
	{"200 x 100 cities, in memory", "1", false, 4, 1, 1, bench.Client.Cities, bench.Countries},
	{"walk of 20 pages, loopback", "20", true, 10, 1, 1, bench.Client.Walk, 20 * bench.PageSize},
	{"walk of 200 pages, loopback", strconv.Itoa(bench.Pages), true, 1, 1, 1, bench.Client.Walk, bench.Pages * bench.PageSize},
	{"64 goroutines, loopback", "1", true, 1, 1, 20_000, bench.Client.Accounts, 1},
	{"64 goroutines, 1 in 100 fails", "1-flaky", true, 1, 1, 20_000, bench.Client.Accounts, 1},
}

// sample is what a round cost for each repetition.
type sample struct{ time, cpu, bytes, allocs, conns float64 }

var (
	quick   = flag.Bool("quick", false, "few rounds and small works, for CI")
	rounds  = flag.Int("rounds", 10, "rounds")
	only    = flag.String("work", "", "only the works whose name holds this")
	who     = flag.String("client", "", "only this contestant, besides the floor")
	out     = flag.String("out", "", "file for the samples, in the form that benchstat reads")
	cpuFile = flag.String("cpuprofile", "", "write a CPU profile of -client alone")
	memFile = flag.String("memprofile", "", "write a profile of all allocations of -client alone")
	serve   = flag.Bool("serve", false, "be the server (internal)")
	peak    = flag.String("peak", "", "fetch this world once as -client and print the peak memory (internal)")
	at      = flag.String("at", "", "address of the server (internal)")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	switch {
	case *serve:
		return bench.Serve(os.Stdout)
	case *peak != "":
		return printPeak()
	}
	server, stop, err := startServer()
	if err != nil {
		return err
	}
	defer stop()
	if *quick {
		*rounds = 3
		for i := range works {
			works[i].n = max(1, works[i].n/4)
			if works[i].calls > 1 {
				works[i].calls = 4000
			}
		}
	}
	fmt.Printf("%s, %d CPUs, %d rounds, interleaved; medians, ratios to the floor\n\n", runtime.Version(), runtime.NumCPU(), *rounds)
	if err := profile(server); err != nil {
		return err
	}
	samples := io.Discard
	if *out != "" {
		f, err := os.Create(*out)
		if err != nil {
			return err
		}
		defer f.Close()
		samples = f
	}
	for _, w := range works {
		if strings.Contains(w.name, *only) {
			if err := measure(w, server, samples); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	if *only != "" {
		return nil
	}
	if err := peaks(server); err != nil {
		return err
	}
	return sizes()
}

func startServer() (addr string, stop func(), err error) {
	cmd := exec.Command(os.Args[0], "-serve")
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	if _, err := fmt.Fscanln(pipe, &addr); err != nil {
		stop()
		return "", nil, err
	}
	return addr, stop, nil
}

func taken(name string) bool { return *who == "" || name == *who || name == "floor" }

func (w work) client(i int, server string) bench.Client {
	if w.network {
		return bench.Contestants[i].New(server+"/"+w.world, nil)
	}
	return bench.Contestants[i].New("http://127.0.0.1/"+w.world, bench.Memory{})
}

func measure(w work, server string, samples io.Writer) error {
	clients := make([]bench.Client, len(bench.Contestants))
	all := make([][]sample, len(clients))
	for i, c := range bench.Contestants {
		if taken(c.Name) {
			clients[i] = w.client(i, server)
			if err := w.warm(clients[i], server); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
		}
	}
	for round := range *rounds * w.turns {
		for k := range clients {
			i := (k + round) % len(clients) // nobody is always first
			if clients[i] == nil {
				continue
			}
			s, err := w.round(clients[i], server)
			if err != nil {
				return fmt.Errorf("%s: %w", bench.Contestants[i].Name, err)
			}
			all[i] = append(all[i], s)
			name := strings.NewReplacer(" ", "_", ",", "", "-", "_").Replace(w.name)
			fmt.Fprintf(samples, "Benchmark%s/client=%s 1 %.0f ns/op %.0f cpu-ns/op %.0f B/op %.1f allocs/op\n",
				name, strings.ReplaceAll(bench.Contestants[i].Name, "-", "_"), s.time, s.cpu, s.bytes, s.allocs)
		}
	}
	fmt.Printf("| %-30s |   time | ratio |  CPU ratio | bytes ratio | allocs | ratio |%s\n|---|---|---|---|---|---|---|%s\n",
		w.name, map[bool]string{true: " new connections |"}[w.calls > 1], map[bool]string{true: "---|"}[w.calls > 1])
	for i, ss := range all {
		if ss == nil {
			continue
		}
		get := func(f func(sample) float64) (value, ratio float64) {
			value = median(ss, f)
			return value, value / median(all[0], f)
		}
		t, tr := get(func(s sample) float64 { return s.time })
		_, cr := get(func(s sample) float64 { return s.cpu })
		_, br := get(func(s sample) float64 { return s.bytes })
		a, ar := get(func(s sample) float64 { return s.allocs })
		fmt.Printf("| %-30s | %7s | %5.2f | %5.2f | %5.2f | %.0f | %.2f |", bench.Contestants[i].Name, time.Duration(t).Round(time.Microsecond/10), tr, cr, br, a, ar)
		if w.calls > 1 {
			conns := 0.0
			for _, s := range ss {
				conns += s.conns
			}
			fmt.Printf(" %.0f |", conns)
		}
		fmt.Println()
	}
	fmt.Println()
	return nil
}

func median(ss []sample, f func(sample) float64) float64 {
	v := make([]float64, len(ss))
	for i, s := range ss {
		v[i] = f(s)
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// warm opens the connections and fills the pools.
func (w work) warm(c bench.Client, server string) error {
	if w.calls == 1 {
		for range 3 {
			if err := w.once(c); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := get(server + "/_gate?n=" + strconv.Itoa(workers)); err != nil {
		return err
	}
	_, err := w.crowd(c, 2*workers)
	return err
}

func (w work) once(c bench.Client) error {
	n, err := w.do(c, context.Background())
	if err == nil && n != w.want {
		err = fmt.Errorf("%d entries, want %d", n, w.want)
	}
	return err
}

// crowd does the calls from all goroutines and returns the time of them all.
func (w work) crowd(c bench.Client, calls int) (time.Duration, error) {
	errs := make(chan error, workers)
	var wg sync.WaitGroup
	start := time.Now()
	for g := range workers {
		wg.Go(func() {
			for i := g; i < calls; i += workers {
				if err := w.once(c); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	spent := time.Since(start)
	close(errs)
	return spent, <-errs
}

// round measures one client once. The time of a call is the median of the round's.
func (w work) round(c bench.Client, server string) (s sample, err error) {
	conns := 0
	if w.calls > 1 {
		if conns, err = get(server + "/_conns"); err != nil {
			return s, err
		}
	}
	runtime.GC()
	var before, after runtime.MemStats
	times := make([]float64, w.n)
	runtime.ReadMemStats(&before)
	cpu := cpuTime()
	for i := range times {
		start := time.Now()
		if w.calls == 1 {
			err = w.once(c)
		} else {
			_, err = w.crowd(c, w.calls)
		}
		if err != nil {
			return s, err
		}
		times[i] = float64(time.Since(start))
	}
	s.cpu = float64(cpuTime() - cpu)
	runtime.ReadMemStats(&after)
	slices.Sort(times)
	n := float64(w.n * w.calls)
	s = sample{
		time: times[len(times)/2] / float64(w.calls), cpu: s.cpu / n,
		bytes: float64(after.TotalAlloc-before.TotalAlloc) / n, allocs: float64(after.Mallocs-before.Mallocs) / n,
	}
	if w.calls > 1 {
		now, err := get(server + "/_conns")
		if err != nil {
			return s, err
		}
		s.conns = float64(now - conns)
	}
	return s, nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var control = http.Client{} // keeps one connection of its own

func get(url string) (int, error) {
	resp, err := control.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

// profile runs one contestant alone under the profilers and ends the program.
func profile(server string) error {
	if *cpuFile == "" && *memFile == "" {
		return nil
	}
	if *memFile != "" {
		runtime.MemProfileRate = 512
	}
	i := slices.IndexFunc(bench.Contestants, func(c struct {
		Name string
		New  func(string, http.RoundTripper) bench.Client
	},
	) bool {
		return c.Name == *who
	})
	w := works[slices.IndexFunc(works, func(w work) bool { return strings.Contains(w.name, *only) })]
	if i < 0 {
		return fmt.Errorf("-cpuprofile and -memprofile need -client")
	}
	c := w.client(i, server)
	if err := w.warm(c, server); err != nil {
		return err
	}
	if *cpuFile != "" {
		f, err := os.Create(*cpuFile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
	}
	for start := time.Now(); time.Since(start) < 5*time.Second; {
		if _, err := w.round(c, server); err != nil {
			return err
		}
	}
	pprof.StopCPUProfile()
	if *memFile != "" {
		f, err := os.Create(*memFile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.Lookup("allocs").WriteTo(f, 0); err != nil {
			return err
		}
	}
	return nil
}

// peaks runs each contestant in a process of its own for one answer.
func peaks(server string) error {
	worlds := []string{"1", "10000", "huge"}
	if *quick {
		worlds = worlds[:2]
	}
	fmt.Printf("| peak memory of the process, MB | %s |\n|---|%s\n", strings.Join(worlds, " | "), strings.Repeat("---|", len(worlds)))
	for _, c := range bench.Contestants {
		if !taken(c.Name) {
			continue
		}
		fmt.Printf("| %-30s |", c.Name)
		for _, world := range worlds {
			out, err := exec.Command(os.Args[0], "-peak", world, "-client", c.Name, "-at", server).Output()
			if err != nil {
				return fmt.Errorf("peak of %s: %w: %s", c.Name, err, out)
			}
			fmt.Printf(" %s |", strings.TrimSpace(string(out)))
		}
		fmt.Println()
	}
	fmt.Println()
	return nil
}

func printPeak() error {
	for i, c := range bench.Contestants {
		if c.Name == *who {
			n, err := bench.Contestants[i].New(*at+"/"+*peak, nil).Accounts(context.Background())
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("no accounts")
			}
			// Not ru_maxrss: Linux hands that of the parent on to its children.
			status, err := os.ReadFile("/proc/self/status")
			if err != nil {
				return err
			}
			_, line, _ := strings.Cut(string(status), "VmHWM:")
			kb, err := strconv.Atoi(strings.Fields(line)[0])
			if err != nil {
				return err
			}
			fmt.Println(kb >> 10)
		}
	}
	return nil
}

// sizes builds a program for each contestant that lists the accounts.
func sizes() error {
	dir, err := os.MkdirTemp("", "size")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Print("| program that lists accounts | MB, stripped | over the floor | linked modules |\n|---|---|---|---|\n")
	floor := 0.0
	for _, c := range bench.Contestants {
		if !taken(c.Name) || c.Name == "floor-text" {
			continue
		}
		file := filepath.Join(dir, c.Name)
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "github.com/proxylite/proxylite-go/bench/cmd/size/"+c.Name)
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		text, err := exec.Command("go", "version", "-m", file).Output()
		if err != nil {
			return err
		}
		mb := float64(info.Size()) / 1e6
		if c.Name == "floor" {
			floor = mb
		}
		fmt.Printf("| %-30s | %.2f | %+.2f | %d |\n", c.Name, mb, mb-floor, strings.Count(string(text), "\tdep\t"))
	}
	return nil
}
