// Command forward compares the local proxy of a pool with tinyproxy and squid, as
// forwarders to one upstream proxy with a login, all on loopback. Forwarder, upstream and
// target are separate processes; each round measures every forwarder, in turn, and the
// table has the medians. It runs on Linux only. A forwarder that is not installed is left
// out.
package main

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	role   = flag.String("role", "", "internal: target, upstream or local, with the address of the next one as the argument")
	rounds = flag.Int("rounds", 5, "rounds")
	quick  = flag.Bool("quick", false, "one short round")
	work   = flag.String("work", "", "only the lines whose name contains `text`")
	only   = flag.String("only", "", "only the forwarders whose name contains `text`")
)

func main() {
	flag.Parse()
	var err error
	switch *role {
	case "target":
		err = serve(target)
	case "upstream":
		err = serve(upstream)
	case "local":
		err = local(flag.Arg(0))
	default:
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "forward:", err)
		os.Exit(1)
	}
}

const username, password = "bob", "secret"

// forwarder is a contestant.
type forwarder struct {
	name string
	addr string
	cmd  *exec.Cmd
	base int // KiB of memory when it began
}

// metric is a line of the table.
type metric struct {
	name    string
	more    bool // is better
	measure func(f *forwarder, target string) ([]float64, error)
}

func run() error {
	dir, err := os.MkdirTemp("", "forward")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // squid has a user of its own
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var started []*exec.Cmd
	defer func() {
		for _, cmd := range started {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	start := func(cmd *exec.Cmd) error {
		cmd.Stderr = os.Stderr
		started = append(started, cmd)
		return cmd.Start()
	}
	spawn := func(args ...string) (addr string, cmd *exec.Cmd, err error) {
		cmd = exec.Command(self, args...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			return "", nil, err
		}
		if err := start(cmd); err != nil {
			return "", nil, err
		}
		addr, err = bufio.NewReader(out).ReadString('\n')
		return strings.TrimSpace(addr), cmd, err
	}
	to, _, err := spawn("-role", "target")
	if err != nil {
		return err
	}
	up, _, err := spawn("-role", "upstream")
	if err != nil {
		return err
	}
	var contestants []*forwarder
	for name, config := range map[string]func(port, upstream string) (*exec.Cmd, error){
		"tinyproxy":  func(port, upstream string) (*exec.Cmd, error) { return tinyproxy(dir, port, upstream) },
		"squid":      func(port, upstream string) (*exec.Cmd, error) { return squid(dir, port, upstream) },
		"localproxy": nil,
	} {
		f := &forwarder{name: name}
		switch {
		case !strings.Contains(name, *only):
			continue
		case config == nil:
			f.addr, f.cmd, err = spawn("-role", "local", up)
		default:
			if _, err := exec.LookPath(name); err != nil {
				fmt.Println(name, "is not installed")
				continue
			}
			var port string
			if port, err = freePort(); err == nil {
				if f.cmd, err = config(port, up); err == nil {
					f.addr = "127.0.0.1:" + port
					err = start(f.cmd)
				}
			}
		}
		if err == nil {
			err = f.ready(to)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		contestants = append(contestants, f)
	}
	slices.SortFunc(contestants, func(a, b *forwarder) int { return cmp.Compare(a.name, b.name) })
	return compare(contestants, to)
}

// compare measures in turn and prints the table.
func compare(contestants []*forwarder, target string) error {
	metrics := slices.DeleteFunc(metrics(), func(m metric) bool { return !strings.Contains(m.name, *work) })
	samples := map[string][]float64{}
	if *quick {
		*rounds = 1
	}
	for round := range *rounds {
		for _, m := range metrics {
			for i := range contestants {
				f := contestants[(i+round)%len(contestants)]
				values, err := m.measure(f, target)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", f.name, m.name, err)
				}
				for j, v := range values {
					key := f.name + "/" + m.names()[j]
					samples[key] = append(samples[key], v)
				}
			}
		}
	}
	fmt.Print("|")
	for _, f := range contestants {
		fmt.Printf(" | %s", f.name)
	}
	fmt.Println(" | best of others : localproxy |\n|" + strings.Repeat("---|", len(contestants)+2))
	for _, m := range metrics {
		for j, name := range m.names() {
			fmt.Printf("| %s", name)
			own, best := 0.0, 0.0
			more := m.more && j == 0
			for _, f := range contestants {
				s := samples[f.name+"/"+name]
				slices.Sort(s)
				v := s[len(s)/2]
				fmt.Printf(" | %.3g", v)
				switch {
				case f.name == "localproxy":
					own = v
				case best == 0 || more == (v > best):
					best = v
				}
			}
			ratio := best / own
			if more {
				ratio = own / best
			}
			fmt.Printf(" | %.2f × |\n", ratio)
		}
	}
	return nil
}

func (m metric) names() []string { return strings.Split(m.name, "; ") }

func metrics() []metric {
	scale := 1
	if *quick {
		scale = 8
	}
	return []metric{
		{"KiB an idle tunnel", false, func(f *forwarder, to string) ([]float64, error) { return f.idle(to, 1000/scale) }},
		{"CONNECT, µs", false, func(f *forwarder, to string) ([]float64, error) { return f.latency(to, 400/scale) }},
		{"requests/s, 64 tunnels; CPU µs a request", true, func(f *forwarder, to string) ([]float64, error) {
			return f.requests(to, 64, 2*time.Second/time.Duration(scale))
		}},
		{"MB/s, one download; CPU ms a MB", true, func(f *forwarder, to string) ([]float64, error) { return f.downloads(to, 1, 512<<20/scale) }},
		{"MB/s, 64 downloads; CPU ms a MB, 64", true, func(f *forwarder, to string) ([]float64, error) { return f.downloads(to, 64, 16<<20/scale) }},
	}
}

// connect opens a tunnel.
func (f *forwarder) connect(target string) (*net.TCPConn, error) {
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		return nil, err
	}
	c := conn.(*net.TCPConn)
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target); err != nil {
		return nil, err
	}
	if err := header(c); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// header reads a response to CONNECT and no more.
func header(c io.Reader) error {
	var b []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(b), "\r\n\r\n") {
		if _, err := io.ReadFull(c, one); err != nil {
			return err
		}
		b = append(b, one...)
	}
	if !strings.Contains(string(b[:min(len(b), 20)]), " 200 ") {
		return fmt.Errorf("refused: %q", b)
	}
	return nil
}

func (f *forwarder) ready(target string) error {
	var err error
	for begin := time.Now(); time.Since(begin) < 20*time.Second; <-time.After(50 * time.Millisecond) {
		var c net.Conn
		if c, err = f.connect(target); err == nil {
			f.base = f.memory()
			return c.Close()
		}
	}
	return err
}

func (f *forwarder) latency(target string, n int) ([]float64, error) {
	var took []time.Duration
	for range n {
		begin := time.Now()
		c, err := f.connect(target)
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
		_ = c.Close()
	}
	slices.Sort(took)
	return []float64{float64(took[n/2].Nanoseconds()) / 1e3}, nil
}

// requests sends 100 bytes and waits for 1,000, in each tunnel.
func (f *forwarder) requests(target string, tunnels int, d time.Duration) ([]float64, error) {
	conns, err := f.open(target, tunnels)
	defer closeAll(conns)
	if err != nil {
		return nil, err
	}
	var n atomic.Int64
	var failed atomic.Value
	var work sync.WaitGroup
	cpu, begin := f.cpu(), time.Now()
	for _, c := range conns {
		work.Go(func() {
			buf := make([]byte, 1000)
			for time.Since(begin) < d {
				if err := ask(c, 1000); err != nil {
					failed.Store(err)
					return
				}
				if _, err := io.ReadFull(c, buf); err != nil {
					failed.Store(err)
					return
				}
				n.Add(1)
			}
		})
	}
	work.Wait()
	if err, ok := failed.Load().(error); ok {
		return nil, err
	}
	return []float64{float64(n.Load()) / time.Since(begin).Seconds(), float64((f.cpu() - cpu).Microseconds()) / float64(n.Load())}, nil
}

// downloads gets so many bytes in each tunnel.
func (f *forwarder) downloads(target string, tunnels, size int) ([]float64, error) {
	conns, err := f.open(target, tunnels)
	defer closeAll(conns)
	if err != nil {
		return nil, err
	}
	var failed atomic.Value
	var work sync.WaitGroup
	cpu, begin := f.cpu(), time.Now()
	for _, c := range conns {
		work.Go(func() {
			if err := ask(c, size); err != nil {
				failed.Store(err)
				return
			}
			buf := make([]byte, 256<<10)
			for left := size; left > 0; {
				n, err := c.Read(buf[:min(left, len(buf))])
				if left -= n; err != nil {
					failed.Store(err)
					return
				}
			}
		})
	}
	work.Wait()
	if err, ok := failed.Load().(error); ok {
		return nil, err
	}
	mb := float64(tunnels) * float64(size) / 1e6
	return []float64{mb / time.Since(begin).Seconds(), (f.cpu() - cpu).Seconds() * 1e3 / mb}, nil
}

// idle compares the resident memory with tunnels that have passed something to that of
// the start. It comes first in a round: later, free memory may be used again.
func (f *forwarder) idle(target string, n int) ([]float64, error) {
	conns, err := f.open(target, n)
	defer closeAll(conns)
	if err != nil {
		return nil, err
	}
	for _, c := range conns {
		if err := ask(c, 1000); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
			return nil, err
		}
	}
	return []float64{max(0, float64(f.memory()-f.base)) / float64(n)}, nil
}

func (f *forwarder) open(target string, n int) ([]*net.TCPConn, error) {
	var conns []*net.TCPConn
	for range n {
		c, err := f.connect(target)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

func closeAll(conns []*net.TCPConn) {
	for _, c := range conns {
		_ = c.Close()
	}
	<-time.After(200 * time.Millisecond) // until the others have seen it
}

// cpu is what the process has used.
func (f *forwarder) cpu() time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", f.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // the unit on every Linux that Go runs on
}

// memory is the resident memory in KiB.
func (f *forwarder) memory() int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.cmd.Process.Pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return n
		}
	}
	return 0
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

func tinyproxy(dir, port, upstream string) (*exec.Cmd, error) {
	config := filepath.Join(dir, "tinyproxy.conf")
	err := os.WriteFile(config, fmt.Appendf(nil, "Port %s\nListen 127.0.0.1\nAllow 127.0.0.1\nMaxClients 4000\nTimeout 600\nLogLevel Critical\nLogFile %q\n"+
		"Upstream http %s:%s@%s\n", port, filepath.Join(dir, "tinyproxy.log"), username, password, upstream), 0o600)
	return exec.Command("tinyproxy", "-d", "-c", config), err
}

func squid(dir, port, upstream string) (*exec.Cmd, error) {
	config := filepath.Join(dir, "squid.conf")
	host, upstreamPort, err := net.SplitHostPort(upstream)
	if err != nil {
		return nil, err
	}
	err = os.WriteFile(config, fmt.Appendf(nil, "http_port 127.0.0.1:%s\nhttp_access allow all\ncache deny all\naccess_log none\ncache_log /dev/null\n"+
		"cache_store_log none\npid_filename none\nmax_filedescriptors 16384\nshutdown_lifetime 0 seconds\npinger_enable off\nvia off\nforwarded_for delete\n"+
		"cache_peer %s parent %s 0 no-query default login=%s:%s\nnever_direct allow all\nnonhierarchical_direct off\n",
		port, host, upstreamPort, username, password), 0o644)
	return exec.Command("squid", "-N", "-f", config), err
}

// ask asks the target for size bytes: the size and 92 bytes more.
func ask(c io.Writer, size int) error {
	var b [100]byte
	binary.BigEndian.PutUint64(b[:], uint64(size))
	_, err := c.Write(b[:])
	return err
}

// serve runs a role, and prints where it listens.
func serve(handle func(*net.TCPConn)) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, syscall.EMFILE):
			<-time.After(time.Millisecond)
		case err != nil:
			return err
		default:
			go handle(c.(*net.TCPConn))
		}
	}
}

var zeros [256 << 10]byte

// target sends as many bytes as it is asked for.
func target(c *net.TCPConn) {
	defer c.Close()
	var b [100]byte
	for {
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return
		}
		for left := int(binary.BigEndian.Uint64(b[:])); left > 0; {
			n, err := c.Write(zeros[:min(left, len(zeros))])
			if left -= n; err != nil {
				return
			}
		}
	}
}

// upstream is a proxy that does as little as it can.
func upstream(c *net.TCPConn) {
	defer c.Close()
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		return
	}
	loggedIn := false
	for h := line; h != "\r\n"; {
		if h, err = r.ReadString('\n'); err != nil {
			return
		}
		name, value, _ := strings.Cut(h, ":")
		loggedIn = loggedIn || strings.EqualFold(name, "Proxy-Authorization") && strings.TrimSpace(value) == "Basic Ym9iOnNlY3JldA=="
	}
	fields := strings.Fields(line)
	if !loggedIn || len(fields) != 3 {
		_, _ = io.WriteString(c, "HTTP/1.1 407 No\r\n\r\n")
		return
	}
	conn, err := net.Dial("tcp", fields[1])
	if err != nil {
		_, _ = io.WriteString(c, "HTTP/1.1 502 No\r\n\r\n")
		return
	}
	to := conn.(*net.TCPConn)
	defer to.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(to, c)
		_ = to.CloseWrite()
	}()
	_, _ = io.Copy(c, to)
}
