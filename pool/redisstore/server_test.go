//go:build linux

package redisstore_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool/redisstore"
	"github.com/proxylite/proxylite-go/pool/storetest"
)

// server is a redis-server of its own on loopback.
type server struct {
	t    testing.TB
	dir  string
	port int
	args []string
	cmd  *exec.Cmd
}

// newServer starts one, or skips the test where there is none to start.
func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed (Debian: apt-get install redis-server)")
	}
	return startServer(t, args...)
}

func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), port: freePort(t), args: args}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *server) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

func (s *server) start() {
	s.t.Helper()
	args := append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--daemonize", "no",
		"--logfile", filepath.Join(s.dir, "log"),
	}, s.args...)
	s.cmd = exec.Command("redis-server", args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(s.t, s.cmd.Start())
	s.ready()
}

// ready waits until the server responds.
func (s *server) ready() {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return strings.Contains(s.ask("PING"), "PONG") }, time.Minute, 20*time.Millisecond)
}

// ask sends one inline command.
func (s *server) ask(command string) string {
	return askAt(s.addr(), command)
}

func askAt(addr, command string) string {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, _ = io.WriteString(conn, command+"\r\nQUIT\r\n")
	b, _ := io.ReadAll(conn)
	return strings.TrimSuffix(string(b), "+OK\r\n") // of QUIT
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// lose deletes what the server has on disk.
func (s *server) lose() {
	files, _ := filepath.Glob(filepath.Join(s.dir, "*"))
	for _, f := range files {
		_ = os.RemoveAll(f)
	}
}

const shortTTL = 4 * time.Second

func sleep(ctx context.Context) func(time.Duration) {
	return func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
}

func TestConformanceOfRealServers(t *testing.T) {
	t.Parallel()
	conform := func(t *testing.T, client func(t *testing.T) redis.UniversalClient, o redisstore.Options) {
		storetest.Run(t, func(t *testing.T) storetest.Harness {
			t.Parallel()
			o := o
			o.TTL, o.Fleet = shortTTL, fmt.Sprint("fleet ", t.Name())
			c := client(t)
			t.Cleanup(func() { _ = c.Close() })
			s, err := redisstore.New(c, o)
			require.NoError(t, err)
			require.NoError(t, s.Create(t.Context(), "stock", "one", "two"))
			return storetest.Harness{Store: s, Advance: sleep(t.Context())}
		})
	}
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		conform(t, func(*testing.T) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1, ContextTimeoutEnabled: true})
		}, redisstore.Options{})
	})
	t.Run("cluster of one node", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, "--cluster-enabled", "yes")
		require.Contains(t, s.ask("CLUSTER ADDSLOTSRANGE 0 16383"), "OK")
		require.Eventually(t, func() bool { return strings.Contains(s.ask("CLUSTER INFO"), "cluster_state:ok") }, time.Minute, 20*time.Millisecond)
		conform(t, func(*testing.T) redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.addr()}, MaxRetries: -1, ContextTimeoutEnabled: true})
		}, redisstore.Options{})
	})
	t.Run("Sentinel with a replica and WAIT", func(t *testing.T) {
		t.Parallel()
		master := newServer(t)
		replicas := 0
		replica := newServer(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(master.port))
		require.Eventually(t, func() bool { return strings.Contains(replica.ask("INFO replication"), "master_link_status:up") }, time.Minute, 20*time.Millisecond)
		replicas++
		sentinel := newSentinel(t, master)
		conform(t, func(*testing.T) redis.UniversalClient {
			return redis.NewFailoverClient(&redis.FailoverOptions{
				MasterName: "fleet", SentinelAddrs: []string{sentinel.addr()}, MaxRetries: -1, ContextTimeoutEnabled: true,
			})
		}, redisstore.Options{Replicas: replicas})
	})
}

// newSentinel watches a master alone, so that its vote is enough.
func newSentinel(t *testing.T, master *server) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), port: freePort(t)}
	conf := filepath.Join(s.dir, "sentinel.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, `port %d
bind 127.0.0.1
dir %s
logfile %s/log
sentinel monitor fleet 127.0.0.1 %d 1
sentinel down-after-milliseconds fleet 1000
sentinel failover-timeout fleet 3000
`, s.port, s.dir, s.dir, master.port), 0o600))
	s.cmd = exec.Command("redis-server", conf, "--sentinel")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, s.cmd.Start())
	t.Cleanup(s.kill)
	s.ready()
	return s
}
