package pool_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

func TestMain(m *testing.M) {
	// Nothing in the environment may change where a pool goes.
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		_ = os.Setenv(name, "http://127.0.0.1:1")
	}
	_ = os.Setenv("NO_PROXY", "*")
	goleak.VerifyTestMain(m)
}

const cut = "\x00" // of network.raw: nothing is sent any more

// network is made of proxies in memory, for tests in virtual time. What goes
// through one is answered by the proxy itself, with its own address as the body.
type network struct {
	mu    sync.Mutex
	hits  map[string]int
	dials map[string]int
	dead  map[string]bool
	// answer says what a proxy does with a request; nil closes the connection.
	answer func(addr string, req *http.Request) *http.Response
	raw    func(addr string, req *http.Request) string // instead, where it is not empty: all that is sent
	tls    *tls.Config                                 // of what CONNECT leads to, with the address as the body again
}

func newNetwork() *network {
	return &network{hits: map[string]int{}, dials: map[string]int{}, dead: map[string]bool{}}
}

func (n *network) kill(addr string) { n.mu.Lock(); n.dead[addr] = true; n.mu.Unlock() }
func (n *network) heal(addr string) { n.mu.Lock(); n.dead[addr] = false; n.mu.Unlock() }
func (n *network) hitsOf(addr string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hits[addr]
}

func (n *network) transport() *http.Transport {
	return &http.Transport{IdleConnTimeout: time.Minute, DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.dials[addr]++
		if n.dead[addr] {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}
		client, server := net.Pipe()
		go n.serve(addr, server)
		return client, nil
	}}
}

// secure makes CONNECT lead to a target with the certificate of site, whatever its
// name, and returns a transport that trusts it.
func (n *network) secure(site *target) *http.Transport {
	n.tls = &tls.Config{Certificates: site.TLS.Certificates}
	tr := n.transport()
	tr.TLSClientConfig = &tls.Config{RootCAs: rootCAs(site), ServerName: "example.com"}
	return tr
}

func (n *network) serve(addr string, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for r := bufio.NewReader(conn); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		n.mu.Lock()
		n.hits[addr]++
		answer, raw, dead := n.answer, n.raw, n.dead[addr]
		n.mu.Unlock()
		if raw != nil {
			if s := raw(addr, req); s != "" {
				_, _ = io.WriteString(conn, strings.TrimSuffix(s, cut))
				return
			}
		}
		resp := plain(200, addr)
		if answer != nil {
			resp = answer(addr, req)
		}
		if resp == nil || dead {
			return
		}
		if req.Method == http.MethodConnect && resp.StatusCode == 200 {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			conn = tls.Server(conn, n.tls)
			r.Reset(conn)
			continue
		}
		if resp.Write(conn) != nil || req.Close {
			return
		}
	}
}

func plain(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
}

// made makes endpoints 10.0.0.1:1000, 10.0.0.1:1001 and so on, as an extraction
// does, and counts them.
type made struct {
	mu    sync.Mutex
	life  time.Duration
	took  time.Duration
	calls []int // how many were asked for
	total int
	err   error
}

func (m *made) fetch(_ context.Context, need int) ([]pool.Proxy, error) {
	expires := time.Now().Add(m.life)
	time.Sleep(m.took)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, need)
	if m.err != nil {
		return nil, m.err
	}
	proxies := make([]pool.Proxy, need)
	for i := range proxies {
		proxies[i].Endpoint = proxylite.Endpoint{Host: "10.0.0.1", Port: 1000 + m.total}
		if m.life > 0 {
			proxies[i].Expires = expires
		}
		m.total++
	}
	return proxies, nil
}

func (m *made) source(size int) pool.Source {
	return pool.Source{Fetch: m.fetch, Size: size, Costs: true}
}

func (m *made) made() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}

func (m *made) asked() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]int{}, m.calls...)
}

func newPool(t *testing.T, source pool.Source, opts ...pool.Option) *pool.Pool {
	t.Helper()
	p, err := pool.New(source, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// get returns the body of an answer, which is the address of the proxy in tests
// over a network.
func get(ctx context.Context, rt http.RoundTripper, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 {
		err = errors.Join(err, fmt.Errorf("status %d", resp.StatusCode))
	}
	return string(body), errors.Join(err, resp.Body.Close())
}
