package proxylitetest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/proxylitetest"
)

// closes fails when Close hangs.
func closes(t *testing.T, p *proxylitetest.Proxy) {
	t.Helper()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		p.Close()
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("Close hangs")
	}
}

func TestCloseEndsEverythingThatIsUnderWay(t *testing.T) {
	t.Parallel()
	deaf := listen(t, func(c *net.TCPConn) {
		_ = c.SetReadBuffer(4096)
		<-t.Context().Done()
	})
	forever := make(chan struct{})
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		<-forever
	}))
	defer target.Close()
	defer close(forever)
	// fill writes until nothing more fits in between.
	fill := func(c net.Conn) {
		for block := make([]byte, 1<<16); ; {
			_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name  string
		fault proxylitetest.ProxyFault
		do    func(*testing.T, *proxylitetest.Proxy)
	}{
		{"nothing", proxylitetest.ProxyFault{}, func(*testing.T, *proxylitetest.Proxy) {}},
		{"a silent client", proxylitetest.ProxyFault{}, func(t *testing.T, p *proxylitetest.Proxy) { dial(t, p) }},
		{"half a header", proxylitetest.ProxyFault{}, func(t *testing.T, p *proxylitetest.Proxy) {
			_, _ = io.WriteString(dial(t, p), "CONNECT 127.0")
		}},
		{"half a SOCKS5 greeting", proxylitetest.ProxyFault{}, func(t *testing.T, p *proxylitetest.Proxy) {
			_, _ = io.WriteString(dial(t, p), "\x05\x02")
		}},
		{"an idle connection", proxylitetest.ProxyFault{}, func(t *testing.T, p *proxylitetest.Proxy) {
			s := site(t, (*httptest.Server).Start)
			fetch(t, through(t, p.Endpoint().HTTP(), s), s.URL)
		}},
		{"a tunnel nobody writes to", proxylitetest.ProxyFault{}, func(t *testing.T, p *proxylitetest.Proxy) { connect(t, p, deaf) }},
		{"a tunnel nobody reads from", proxylitetest.ProxyFault{}, func(t *testing.T, p *proxylitetest.Proxy) {
			_, c, _ := connect(t, p, deaf)
			fill(c)
		}},
		{"a client that does not read", proxylitetest.ProxyFault{}, func(t *testing.T, p *proxylitetest.Proxy) {
			full := make(chan struct{})
			connect(t, p, listen(t, func(c *net.TCPConn) {
				fill(c)
				close(full)
				_, _ = io.Copy(io.Discard, c)
			}))
			<-full
		}},
		{"an upload nobody reads", proxylitetest.ProxyFault{}, func(t *testing.T, p *proxylitetest.Proxy) {
			c := dial(t, p)
			_, err := fmt.Fprintf(c, "POST http://%s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", deaf)
			require.NoError(t, err)
			fill(c)
		}},
		{"an answer without end", proxylitetest.ProxyFault{}, func(t *testing.T, p *proxylitetest.Proxy) {
			_, err := fmt.Fprintf(dial(t, p), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target.URL)
			require.NoError(t, err)
			require.Eventually(t, func() bool { return p.Stats().Requests == 1 }, patience, time.Millisecond)
		}},
		{"a delayed CONNECT", proxylitetest.ProxyFault{Delay: time.Hour}, func(t *testing.T, p *proxylitetest.Proxy) {
			_, _ = io.WriteString(dial(t, p), "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n")
		}},
		{"a delayed SOCKS5 request", proxylitetest.ProxyFault{Delay: time.Hour}, func(t *testing.T, p *proxylitetest.Proxy) {
			_, _ = dial(t, p).Write(socksRequest(t, "127.0.0.1:1"))
		}},
		{"a refused client that goes on sending", proxylitetest.ProxyFault{Status: 509}, func(t *testing.T, p *proxylitetest.Proxy) {
			_, c, _ := connect(t, p, deaf)
			fill(c)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := proxylitetest.NewProxy(nil, proxylitetest.ProxyOptions{})
			p.SetFault(tt.fault)
			tt.do(t, p)
			closes(t, p)
			require.Zero(t, p.Stats().Open)
			_, err := net.Dial("tcp", p.Endpoint().Addr())
			require.Error(t, err)
			closes(t, p) // again
		})
	}
}

func TestCloseEndsADialThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	dialing := make(chan struct{}, 3)
	p := proxylitetest.NewProxy(nil, proxylitetest.ProxyOptions{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialing <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	_, _ = io.WriteString(dial(t, p), "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n")
	_, _ = io.WriteString(dial(t, p), "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\n\r\n")
	_, _ = dial(t, p).Write(socksRequest(t, "127.0.0.1:1"))
	for range 3 {
		<-dialing
	}
	closes(t, p)
}

func TestCloseWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	asked, ended := make(chan struct{}), make(chan struct{})
	p := proxylitetest.NewProxy(nil, proxylitetest.ProxyOptions{Auth: func(string, string) bool {
		close(asked)
		<-time.After(50 * time.Millisecond) // enough for a Close that does not wait
		close(ended)
		return false
	}})
	_, err := io.WriteString(dial(t, p), "\x05\x01\x02\x01\x01u\x01p")
	require.NoError(t, err)
	<-asked
	closes(t, p)
	select {
	case <-ended:
	default:
		t.Error("Close returned before Auth")
	}
}

// countedConn is a connection that tells when it is closed.
type countedConn struct {
	*net.TCPConn
	open *atomic.Int32
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.TCPConn.Close()
}

func TestATunnelThatEndsClosesItsTarget(t *testing.T) {
	t.Parallel()
	var open atomic.Int32
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		open.Add(1)
		return &countedConn{TCPConn: c.(*net.TCPConn), open: &open}, nil
	}})
	target := listen(t, echo)
	for _, hello := range []string{"CONNECT " + target + " HTTP/1.1\r\n\r\n", string(socksRequest(t, target))} {
		c := dial(t, p)
		_, err := io.WriteString(c, hello)
		require.NoError(t, err)
		require.NoError(t, c.CloseWrite())
		_, err = io.Copy(io.Discard, c)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.Eventually(t, func() bool { return p.Stats().Open == 0 && open.Load() == 0 }, patience, time.Millisecond)
	}
	require.Equal(t, 2, p.Stats().Tunnels)
}

func TestCloseHangsUpOnTargets(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	target := listen(t, func(c *net.TCPConn) {
		_, _ = io.ReadFull(c, make([]byte, 1))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, err := io.Copy(io.Discard, c)
		ended <- err
	})
	p := proxylitetest.NewProxy(nil, proxylitetest.ProxyOptions{})
	c := dial(t, p)
	_, err := fmt.Fprintf(c, "GET http://%s/ HTTP/1.1\r\nHost: x\r\n\r\n", target)
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, 10))
	require.NoError(t, err)
	closes(t, p)
	require.NoError(t, <-ended)
}

func TestManyTunnelsAtOnce(t *testing.T) {
	t.Parallel()
	target := listen(t, echo)
	p := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{})
	const tunnels, size = 200, 1 << 17
	var clients sync.WaitGroup
	all := make(chan struct{})
	opened := make(chan struct{}, tunnels)
	for i := range tunnels {
		clients.Go(func() {
			sent := bytes.Repeat([]byte{byte(i)}, size)
			_, c, r := connect(t, p, target)
			opened <- struct{}{}
			<-all
			clients.Go(func() {
				_, _ = c.Write(sent)
				_ = c.CloseWrite()
			})
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(sent, got) {
				t.Errorf("tunnel %d: %d of %d bytes came back: %v", i, len(got), size, err)
			}
		})
	}
	for range tunnels {
		<-opened
	}
	require.Equal(t, tunnels, p.Stats().Open)
	close(all)
	clients.Wait()
	require.Equal(t, tunnels, p.Stats().Tunnels)
	require.Eventually(t, func() bool { return p.Stats().Open == 0 }, patience, time.Millisecond)
}

// Whatever the moment is, Close, a death and an expiry hang nothing.
func TestItMayEndInTheMidstOfTraffic(t *testing.T) {
	t.Parallel()
	plain, tls := site(t, (*httptest.Server).Start), site(t, (*httptest.Server).StartTLS)
	for round := range 20 {
		p := proxylitetest.NewProxy(nil, proxylitetest.ProxyOptions{})
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for i := range 12 {
			target := []*httptest.Server{plain, tls}[i%2]
			c := through(t, p.Endpoint().URL([]string{"http", "socks5", "socks5h"}[i%3]), target)
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if resp, err := c.Get(target.URL); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				}
			})
		}
		require.Eventually(t, func() bool { return p.Stats().Requests >= rand.IntN(20) }, patience, time.Millisecond)
		switch round % 3 {
		case 1:
			p.SetFault(proxylitetest.ProxyFault{Dead: true})
			p.SetFault(proxylitetest.ProxyFault{})
		case 2:
			p.Expire()
		}
		closes(t, p)
		close(stop)
		clients.Wait()
	}
}
