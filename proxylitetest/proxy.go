package proxylitetest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/proxyserver"
)

// ProxyOptions configure a [Proxy]. The zero value is a proxy without a login that
// connects to loopback and works until it is closed.
type ProxyOptions struct {
	// Username and Password are the login that the proxy requires. Without a user
	// name it requires none.
	Username, Password string

	// Auth decides on a login instead of the two fields above, for a gateway whose
	// user names have parameters. It is called for each request, also concurrently.
	Auth func(username, password string) bool

	// Life is how long the proxy works, counted from NewProxy; 0 means without end.
	// See Expire.
	Life time.Duration

	// Now is the clock for Life and for the times in Requests; default time.Now.
	Now func() time.Time

	// Hosts maps targets to loopback addresses instead of resolving their names. A
	// key is a name (target.test) or host:port, a value is a loopback host or
	// host:port.
	Hosts map[string]string

	// Dial makes the connections to targets, after Hosts. The default dials only
	// loopback addresses and localhost and refuses anything else with 403, so that a
	// test can't leave the machine by mistake. Set the DialContext of a [net.Dialer]
	// to allow that.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// String returns the name of the type, without the login.
func (o ProxyOptions) String() string { return "proxylitetest.ProxyOptions" }

// GoString keeps the login out of %#v.
func (o ProxyOptions) GoString() string { return o.String() }

// ProxyFault is what is wrong with a [Proxy]. The zero value means nothing.
type ProxyFault struct {
	// Status refuses every request, before the login is checked. ProxyLite's
	// gateways respond with 407 (wrong login), 495 (TLS trouble at the edge), 509 (the
	// address is dead or expired) and 512 (source IP not allowed, or no address
	// left). Over SOCKS5, 407 is a refused login, 403 and 512 are reply 2
	// (not allowed), all others reply 1 (general failure).
	Status int
	Reason string // reason phrase; default the usual one, and "OK" where there is none, as the vendor sends
	Body   string // body of the refusal; default a line of text

	// Dead cuts all connections and resets new ones at once. The port stays in use,
	// so that nobody else gets it: connecting may succeed, and then the first read
	// or write fails.
	Dead bool

	// Delay is the time before the response to a request or its refusal; over SOCKS5, the
	// request that follows the login.
	Delay time.Duration

	// Reset cuts an open tunnel, or the response to a plain request, once ResetAfter
	// bytes from the target have been sent to the client. The header of a plain
	// response counts too.
	Reset      bool
	ResetAfter int64
}

// ProxyRequest is a request that reached a [Proxy].
type ProxyRequest struct {
	Time     time.Time
	Protocol string // "connect", "http" (a plain request) or "socks5"
	Target   string // host:port as the client named it; empty if a SOCKS5 login failed
	Username string // as the client sent it, right or wrong
	Status   int    // 200 for a tunnel, the target's for a plain request, or that of the refusal, also over SOCKS5
	Refused  bool   // by the proxy, also because it could not reach the target (502)
	Expired  bool   // it arrived after Life
}

// ProxyStats counts since the start of a [Proxy].
type ProxyStats struct {
	Connections int // accepted, without those that a dead proxy resets
	Open        int // connections from clients that are open now
	Requests    int
	Tunnels     int // opened, over CONNECT and SOCKS5
	Refused     int
	Expired     int // requests that arrived after Life
}

// Proxy is a forward proxy on loopback: HTTP CONNECT, plain HTTP and SOCKS5
// (CONNECT only) on one port, as ProxyLite's endpoints are. Its methods are safe
// for concurrent use.
//
// It sends a [Proxy-Status] header with its own refusals, so that a test can tell
// them from the target's responses. The vendor is not known to do that.
//
// [Proxy-Status]: https://www.rfc-editor.org/rfc/rfc9209
type Proxy struct {
	opts      ProxyOptions
	listener  net.Listener
	server    *proxyserver.Server
	transport http.Transport
	serving   sync.WaitGroup
	closed    atomic.Bool

	mu       sync.Mutex
	fault    ProxyFault
	end      time.Time
	requests []ProxyRequest
	stats    ProxyStats
}

// NewProxy starts a proxy on a free port of 127.0.0.1. If t is not nil, the proxy is
// closed when the test ends. If t is nil, the caller closes it, and NewProxy panics if
// it can't listen.
func NewProxy(t TB, opts ProxyOptions) *Proxy {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		if t == nil {
			panic(fmt.Sprintf("proxylitetest: %v", err))
		}
		t.Helper()
		t.Fatalf("proxylitetest: %v", err)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Dial == nil {
		opts.Dial = dialLoopback
	}
	p := &Proxy{opts: opts, listener: listener}
	if opts.Life > 0 {
		p.end = opts.Now().Add(opts.Life)
	}
	p.transport = http.Transport{
		DialContext: p.dial, DisableCompression: true, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
	}
	p.server = proxyserver.New(handler{p}, proxyserver.Options{Handshake: handshakeTimeout})
	p.serving.Go(func() { _ = p.server.Serve(listener) })
	if t != nil {
		t.Cleanup(p.Close)
	}
	return p
}

// Endpoint returns the address of the proxy, with its login if it requires one.
func (p *Proxy) Endpoint() proxylite.Endpoint {
	addr := p.listener.Addr().(*net.TCPAddr)
	return proxylite.Endpoint{
		Host: addr.IP.String(), Port: addr.Port,
		Username: p.opts.Username, Password: proxylite.NewPassword(p.opts.Password),
	}
}

// String returns host:port, without the login.
func (p *Proxy) String() string { return p.Endpoint().Addr() }

// GoString keeps the login out of %#v.
func (p *Proxy) GoString() string { return "proxylitetest.Proxy(" + p.String() + ")" }

// SetFault breaks the proxy from the next request on; the zero value repairs it.
// Only Dead affects tunnels that are already open.
func (p *Proxy) SetFault(f ProxyFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	if f.Dead {
		p.server.Cut()
	}
}

// Expire ends the life of the proxy now. Later requests are refused with 509 and the
// reason "OK". An open tunnel is cut as soon as its client sends something, which does
// not arrive; until then data from the target still passes. The vendor documents
// nothing of this; it is our choice.
func (p *Proxy) Expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = p.opts.Now()
}

// Requests returns the requests to the proxy, oldest first: all of them, or at least
// the last 2,000.
func (p *Proxy) Requests() []ProxyRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Stats returns the counters.
func (p *Proxy) Stats() ProxyStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := p.stats
	stats.Open = p.server.Open()
	return stats
}

// Close cuts every connection, frees the port and returns when all goroutines have
// ended. It can be called more than once, but not by Auth or Dial.
func (p *Proxy) Close() {
	p.closed.Store(true)
	p.server.Close()
	_ = p.listener.Close() // which Serve may not have got yet
	p.serving.Wait()
	p.transport.CloseIdleConnections() // and the dials that nobody waits for
}

func (p *Proxy) expired() bool {
	now := p.opts.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.end.IsZero() && !now.Before(p.end)
}

// keepRequests is how many requests are remembered at least.
const keepRequests = 2_000

func (p *Proxy) record(r *ProxyRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.requests) == 2*keepRequests {
		p.requests = append(p.requests[:0], p.requests[keepRequests:]...)
	}
	p.requests = append(p.requests, *r)
	p.stats.Requests++
	if r.Refused {
		p.stats.Refused++
	} else if r.Protocol != proxyserver.HTTP {
		p.stats.Tunnels++
	}
	if r.Expired {
		p.stats.Expired++
	}
}

// dial connects to a target. Its errors are refusals.
func (p *Proxy) dial(ctx context.Context, network, target string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, &proxyserver.Refusal{Status: http.StatusBadRequest, Text: fmt.Sprintf("not a target: want host:port, not %q", target)}
	}
	address := target
	for _, name := range []string{target, host} {
		if to, ok := p.opts.Hosts[name]; ok {
			address = to
			if _, _, err := net.SplitHostPort(to); err != nil {
				address = net.JoinHostPort(to, port)
			}
			break
		}
	}
	conn, err := p.opts.Dial(ctx, network, address)
	if _, own := proxyserver.RefusalOf(err); err == nil || own {
		return conn, err
	}
	ref := &proxyserver.Refusal{Status: http.StatusBadGateway, Text: err.Error(), Reply: proxyserver.ReplyHostUnreachable}
	if strings.Contains(err.Error(), "refused") { // each system has an error of its own for it
		ref.Reply = proxyserver.ReplyConnectionRefused
	}
	return nil, ref
}

func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return nil, &proxyserver.Refusal{
			Status: http.StatusForbidden, Reply: proxyserver.ReplyNotAllowed,
			Text: fmt.Sprintf("%q is not a loopback address: map it with ProxyOptions.Hosts, or allow it with ProxyOptions.Dial", host),
		}
	}
	return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(host, port))
}
