package pool

import (
	"context"
	"math"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// address is a proxy in the pool, with its health and its connections.
type address struct {
	Proxy
	url      *url.URL
	deadline int64         // end of life less the margin: wall clock, as life is
	life     time.Duration // that was left when it came

	gone     atomic.Bool // out for good
	until    atomic.Int64
	hosts    atomic.Pointer[map[string]int64] // out for a host until then
	inFlight atomic.Int64
	uses     atomic.Uint64
	worked   atomic.Uint64
	failed   atomic.Uint64
	shaky    atomic.Bool // strikes or rests is not 0

	// Under Pool.mu.
	strikes      int    // failures in a row
	rests        int    // refusals in a row that are not its fault
	failedAt     int64  // the last of them
	workedBefore uint64 // successes of the pool at the first of them

	dialer func(ctx context.Context, network, addr string) (net.Conn, error)

	mu          sync.Mutex
	kept, fresh atomic.Pointer[http.Transport] // with keep-alive and without; made on demand
	conns       map[*conn]struct{}             // open ones
	closed      bool
}

func (p *Pool) newAddress(proxy Proxy, now time.Time) *address {
	a := &address{
		Proxy: proxy, url: proxy.Endpoint.URL(p.scheme), conns: map[*conn]struct{}{},
		deadline: math.MaxInt64, life: math.MaxInt64, dialer: p.template.DialContext,
	}
	if a.dialer == nil {
		a.dialer = new(net.Dialer).DialContext
	}
	if !proxy.Expires.IsZero() {
		a.life = proxy.Expires.Sub(now)
		margin := p.margin
		if margin < 0 {
			margin = min(10*time.Second, a.life/10)
		}
		a.deadline = proxy.Expires.Add(-margin).UnixNano()
	}
	return a
}

// outUntil returns when the address can be used again for host.
func (a *address) outUntil(host string) int64 {
	until := a.until.Load()
	if hosts := a.hosts.Load(); hosts != nil {
		until = max(until, (*hosts)[host])
	}
	return until
}

// hold counts a use, unless the address has gone in the meantime.
func (a *address) hold() bool {
	a.inFlight.Add(1)
	if a.gone.Load() {
		a.release()
		return false
	}
	a.uses.Add(1)
	return true
}

func (a *address) release() {
	if a.inFlight.Add(-1) == 0 {
		a.closeIfUnused()
	}
}

// closeIfUnused closes what is open when the address is gone and nobody holds it.
func (a *address) closeIfUnused() {
	if !a.gone.Load() || a.inFlight.Load() != 0 {
		return
	}
	a.mu.Lock()
	a.closed = true
	conns := a.conns
	a.conns = nil
	a.mu.Unlock()
	for _, t := range []*http.Transport{a.kept.Load(), a.fresh.Load()} {
		if t != nil {
			t.CloseIdleConnections()
		}
	}
	for c := range conns { // those of a dial that nobody waits for
		_ = c.Conn.Close()
	}
}

// patience returns how long connecting may take, and the error when it takes longer.
func (p *Pool) patience(a *address) (time.Duration, error) {
	if left := time.Until(a.end()); left < p.connecting {
		return left, ErrExpired
	}
	return p.connecting, ErrConnectTimeout
}

// dial opens a connection to the proxy that ends with the address.
func (a *address) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	raw, err := a.dialer(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &conn{raw, a}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		_ = raw.Close()
		return nil, ErrExpired
	}
	a.conns[c] = struct{}{}
	return c, nil
}

type conn struct {
	net.Conn
	a *address
}

func (c *conn) Close() error {
	c.a.mu.Lock()
	delete(c.a.conns, c)
	c.a.mu.Unlock()
	return c.Conn.Close()
}

// Lease is the use of one proxy.
type Lease struct {
	pool  *Pool
	a     *address
	host  string
	start int64
	done  atomic.Bool

	auto     bool // it ends with the answer to a request
	reported bool
}

// Proxy returns the proxy, with its login.
func (l *Lease) Proxy() Proxy { return l.a.Proxy }

// String returns host:port.
func (l *Lease) String() string { return l.a.String() }

// GoString keeps the login out of %#v.
func (l *Lease) GoString() string { return "pool.Lease(" + l.String() + ")" }

// RoundTrip sends a request through this proxy and no other, with keep-alive (see
// [Pool.Transport]) and without repeating: a lease is an [http.RoundTripper] for an http.Client. At the
// end of the proxy's life it fails with ErrExpired. What became of the request
// is for Done to say.
func (l *Lease) RoundTrip(req *http.Request) (*http.Response, error) {
	if time.Now().UnixNano() >= l.a.deadline || l.done.Load() {
		closeBody(req.Body)
		return nil, &Error{Proxy: l.String(), Attempts: 1, Err: ErrExpired}
	}
	resp, _, failure := l.try(req, req.Body, true)
	if failure != nil {
		return nil, &Error{Proxy: l.String(), Attempts: 1, Sent: failure.sent, Err: failure.err}
	}
	return resp, nil
}

// Done ends the lease and says how it went. Only the first call counts.
func (l *Lease) Done(v Verdict) { l.finish(v, nil) }

func (l *Lease) finish(v Verdict, err error) {
	if l.done.Swap(true) {
		return
	}
	if !l.reported {
		l.report(v, err)
	}
	l.a.release()
}
