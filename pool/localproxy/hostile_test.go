package localproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// Whatever a client sends, its connection ends when it has nothing more to say, and
// nothing panics.
func FuzzClient(f *testing.F) {
	for _, s := range []string{
		"", "\x05", "\x05\x00", "\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50", "\x05\x01\x02\x01\x09session-a\x00\x05\x01\x00\x03\x06a.test\x01\xbb",
		"\x05\x02\x00\x02\x01\x00\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", "\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", "\x04\x01",
		"CONNECT a.test:443 HTTP/1.1\r\n\r\n", "CONNECT [::1]:443 HTTP/1.0\r\n\r\n", "GET http://a.test/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://a.test/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic c2Vzc2lvbi1hOg==\r\n\r\n",
		"POST http://a.test/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "\x16\x03\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	var fetched atomic.Int32
	p, err := pool.New(pool.Source{Fetch: func(context.Context, int) ([]pool.Proxy, error) {
		fetched.Add(1)
		return nil, nil
	}}, pool.WithFailFast())
	require.NoError(f, err)
	f.Cleanup(func() { _ = p.Close() })
	open, err := localproxy.New(p)
	require.NoError(f, err)
	locked, err := localproxy.New(p, localproxy.WithLogin("ann", "unguessable"))
	require.NoError(f, err)
	var addrs []string
	for _, local := range []*localproxy.Server{locked, open} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(f, err)
		go func() { _ = local.Serve(l) }()
		f.Cleanup(func() { _ = local.Close() })
		addrs = append(addrs, l.Addr().String())
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, addr := range addrs {
			c, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			_ = c.SetDeadline(time.Now().Add(patience))
			if _, err := c.Write(sent); err == nil {
				_ = c.(*net.TCPConn).CloseWrite()
			}
			_, err = io.Copy(io.Discard, c)
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				require.NoError(t, err)
			}
			_ = c.Close()
		}
		require.Zero(t, locked.Stats().Requests, "nobody has logged in")
		require.Zero(t, open.Stats().Tunnels)
	})
}

// Clients that say nothing, too slowly, too much or nonsense end, and leave nothing.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	var lines lockedBuffer
	l := newLab(t, 1, nil)
	l.local, l.addr = serve(t, l.pool, localproxy.WithHandshakeTimeout(200*time.Millisecond), localproxy.WithConnectTimeout(200*time.Millisecond),
		localproxy.WithLogger(slog.New(slog.NewTextHandler(&lines, nil))))
	bomb := "GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\n" + strings.Repeat("X-Bomb: "+strings.Repeat("x", 1000)+"\r\n", 10_000)
	var work sync.WaitGroup
	ends := func(sent string, slowly bool) {
		work.Go(func() {
			c, err := net.Dial("tcp", l.addr)
			if !assert.NoError(t, err) {
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			for i := range len(sent) {
				if !slowly {
					_, _ = io.WriteString(c, sent)
					break
				}
				if _, err := io.WriteString(c, sent[i:i+1]); err != nil {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			_, err = io.Copy(io.Discard, c)
			assert.NotErrorIs(t, err, os.ErrDeadlineExceeded, "%.20q hangs", sent)
		})
	}
	for range 20 {
		ends("", false)
		ends("GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaa", true)
		ends("\x05\x01\x00\x05\x01\x00\x03\xff"+strings.Repeat("a", 100), true)
		ends("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", false) // TLS
		ends("\x04\x01\x00\x50\x7f\x00\x00\x01\x00", false)         // SOCKS4
		ends("\x00\xff\xfe", false)
		ends(strings.Repeat("A", 1<<20), false)
		ends("CONNECT site.test:1\r\nevil=1 level=ERROR HTTP/1.1\r\n\r\n", false)
		ends("CONNECT nobody.test:1 HTTP/1.1\r\n\r\n", false)
		ends("CONNECT "+strings.Repeat("a", 30_000)+":1 HTTP/1.1\r\n\r\n", false)
		ends("\x05\x01\x00\x05\x01\x00\x03\x0ba\nlevel=BAD\x00\x50", false)
	}
	for range 4 {
		ends(bomb, false)
	}
	// Half-open CONNECTs: the client has gone before the tunnel is there.
	l.upstreams[0].SetFault(proxylitetest.ProxyFault{Delay: 50 * time.Millisecond})
	for range 20 {
		c := l.dial()
		_, err := io.WriteString(c, "CONNECT echo.test:7 HTTP/1.1\r\n\r\n")
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	work.Wait()
	require.Eventually(t, func() bool { s := l.local.Stats(); return s.Connections == 0 && s.Active == 0 }, patience, time.Millisecond)
	for line := range strings.Lines(lines.String()) {
		require.Regexp(t, `^time=\S+ level=INFO msg=refused protocol=`, line)
		require.Less(t, len(line), 2000)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Idle connections cost little, and no more than allowed are kept.
func TestIdleConnectionsAreBounded(t *testing.T) { //nolint:paralleltest // it looks at the memory of the process
	most := 500
	if os.Getenv("PROXYLITE_LONG") != "" {
		most = 9_500 // each takes two file descriptors, and some machines allow 20,000
	}
	l := newLab(t, 1, nil)
	l.local, l.addr = serve(t, l.pool, localproxy.WithMaxConns(most))
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before, goroutines := inUse(), runtime.NumGoroutine()
	var conns []net.Conn
	for range most {
		c, err := net.Dial("tcp", l.addr)
		require.NoError(t, err)
		conns = append(conns, c)
	}
	require.Eventually(t, func() bool { return l.local.Stats().Connections == most }, patience, time.Millisecond)
	require.LessOrEqual(t, runtime.NumGoroutine()-goroutines, most+10, "one goroutine each")
	require.Less(t, (inUse()-before)/uint64(most), uint64(16<<10), "bytes for each, with the client's end")
	if extra, err := net.Dial("tcp", l.addr); err == nil { // else it has been cut already
		_ = extra.SetDeadline(time.Now().Add(patience))
		_, err = extra.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		_ = extra.Close()
	}
	for _, c := range conns {
		_ = c.Close()
	}
	require.Eventually(t, func() bool { return l.local.Stats().Connections == 0 }, patience, time.Millisecond)
	resp, _ := l.get(l.client("http", ""), "http://site.test/")
	require.Equal(t, 200, resp.StatusCode)
}
