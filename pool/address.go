package pool

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/clock"
)

// address is a proxy in the pool, with its health and its connections.
type address struct {
	pool     *Pool
	endpoint proxylite.Endpoint
	url      *url.URL
	id       string
	name     string // host:port
	claim    string // what the store calls it

	// A renewal moves both.
	expires  atomic.Pointer[time.Time]
	deadline atomic.Int64 // clock.Instant of the wall clock: end of life less the margin

	gone     atomic.Bool
	lost     atomic.Bool             // by the store: nothing may use it, leases neither
	onClose  Drop                    // what becomes of the claim, from before gone is set
	owner    atomic.Pointer[session] // has it exclusively
	until    atomic.Int64            // clock.Instant: out until then
	out      outs                    // for single targets
	inFlight atomic.Int64
	keys     atomic.Int64 // sessions that live here
	uses     atomic.Uint64
	worked   atomic.Uint64
	failed   atomic.Uint64
	latency  atomic.Int64 // nanoseconds to a response, smoothed; 0 is unknown
	up, down atomic.Int64 // bytes

	// Under Pool.mu.
	life   time.Duration // that was left when it came
	record record        // what speaks against it

	dialer func(ctx context.Context, network, addr string) (net.Conn, error)

	mu         sync.Mutex
	transports [3]atomic.Pointer[http.Transport] // by keeping; made on demand
	conns      map[*conn]struct{}                // open ones
	closed     bool
}

// keeping is what a transport does with its connections.
type keeping int

const (
	keep  keeping = iota // uses them again
	fresh                // a new one for each request
	once                 // the same, without HTTP/2, so that net/http never sends again
)

func (p *Pool) newAddress(proxy Proxy, now time.Time) *address {
	a := &address{
		pool: p, endpoint: proxy.Endpoint, url: proxy.Endpoint.URL(p.scheme), id: proxy.id(), name: proxy.String(),
		conns: map[*conn]struct{}{}, dialer: p.template.DialContext,
	}
	if a.dialer == nil {
		a.dialer = new(net.Dialer).DialContext
		//lint:ignore SA1019 whoever sets the deprecated field wants it used
		if dial := p.template.Dial; dial != nil { //nolint:staticcheck // the same
			a.dialer = func(_ context.Context, network, addr string) (net.Conn, error) { return dial(network, addr) }
		}
	}
	a.extend(proxy.Expires, now)
	return a
}

// extend sets the end of life. It returns false if that is no later than it was.
func (a *address) extend(expires, now time.Time) bool {
	if old := a.expires.Load(); old != nil && (old.IsZero() || !expires.IsZero() && !expires.After(*old)) {
		return false
	}
	deadline := clock.Never
	a.life = time.Duration(clock.Never)
	if !expires.IsZero() {
		a.life = clock.Wall(expires).Sub(clock.Wall(now))
		margin := a.pool.margin
		if margin < 0 {
			margin = min(10*time.Second, a.life/10)
		}
		deadline = clock.Wall(expires).Add(-margin)
	}
	a.expires.Store(&expires)
	a.deadline.Store(int64(deadline))
	return true
}

func (a *address) proxy() Proxy { return Proxy{a.endpoint, *a.expires.Load()} }

func (a *address) String() string { return a.name }

func (a *address) deadlineAt() clock.Instant { return clock.Instant(a.deadline.Load()) }

// expiresAt is the end of life on the wall clock.
func (a *address) expiresAt() clock.Instant {
	if t := *a.expires.Load(); !t.IsZero() {
		return clock.Wall(t)
	}
	return clock.Never
}

// outUntil returns when the address can be used again for the target.
func (a *address) outUntil(q query) clock.Instant {
	until := clock.Instant(a.until.Load())
	if a.out.any.Load() {
		until = max(until, a.out.until(q.host), a.out.until(q.addr))
	}
	return until
}

// usable tells that the address can be picked for a use without a session.
func (a *address) usable(now moment, q query) bool {
	return a.open(now) && a.owner.Load() == nil && a.outUntil(q) <= now.mono
}

// open tells that the address is alive and has room.
func (a *address) open(now moment) bool {
	limit := a.pool.concurrency
	return a.pool.member.holds(now) && now.wall < a.deadlineAt() && !a.gone.Load() && (limit == 0 || a.inFlight.Load() < limit)
}

// hold counts a use, unless the address has gone or filled up in the meantime.
func (a *address) hold() bool {
	n := a.inFlight.Add(1)
	limit := a.pool.useLimit
	switch uses := a.uses.Add(1); {
	case a.gone.Load(), a.pool.concurrency > 0 && n > a.pool.concurrency, limit > 0 && uses > limit:
		a.unhold()
		return false
	case uses == limit:
		a.pool.drop(a, ReasonUsedUp)
	}
	return true
}

// unhold takes a hold back, as if it had not been.
func (a *address) unhold() {
	a.uses.Add(^uint64(0))
	a.release()
}

func (a *address) release() {
	if a.inFlight.Add(-1) == 0 {
		a.closeIfUnused()
	}
	if a.pool.concurrency > 0 && a.pool.counters.waiting.Load() > 0 {
		a.pool.wake()
	}
}

// closeIfUnused closes what is open when the address is gone and nobody holds it.
func (a *address) closeIfUnused() {
	if !a.gone.Load() || a.inFlight.Load() != 0 {
		return
	}
	a.mu.Lock()
	first := !a.closed
	a.closed = true
	conns := a.conns
	a.conns = nil
	a.mu.Unlock()
	a.closeIdle()
	for c := range conns { // those of a dial that nobody waits for
		_ = c.Conn.Close()
	}
	if first {
		a.pool.member.drop(a)
	}
}

func (a *address) closeIdle() {
	for i := range a.transports {
		if t := a.transports[i].Load(); t != nil {
			t.CloseIdleConnections()
		}
	}
}

// leave makes the next use connect anew: of a gateway that rotates, to another exit.
func (a *address) leave() {
	if t := a.transports[keep].Swap(nil); t != nil {
		t.CloseIdleConnections()
	}
}

// transport returns the address's own.
func (a *address) transport(k keeping) *http.Transport {
	if t := a.transports[k].Load(); t != nil {
		return t
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.transports[k].Load(); t != nil {
		return t
	}
	t := a.pool.template.Clone()
	t.Proxy = http.ProxyURL(a.url)
	t.DialContext = a.dial
	t.DisableKeepAlives = t.DisableKeepAlives || k != keep
	t.MaxIdleConns = a.pool.idleShare()
	if t.MaxIdleConnsPerHost == 0 || t.MaxIdleConnsPerHost > t.MaxIdleConns {
		t.MaxIdleConnsPerHost = t.MaxIdleConns
	}
	if k == once {
		t.ForceAttemptHTTP2 = false
		t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = new(tls.Config)
		}
		t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	own := t.OnProxyConnectResponse
	t.OnProxyConnectResponse = func(ctx context.Context, proxy *url.URL, connect *http.Request, resp *http.Response) error {
		if resp.StatusCode != http.StatusOK {
			return refused(a.url, resp)
		}
		if u, ok := ctx.Value(useKey{}).(*use); ok {
			u.tunnel.Store(true)
		}
		if own != nil {
			return own(ctx, proxy, connect, resp)
		}
		return nil
	}
	a.transports[k].Store(t)
	return t
}

// idleShare is one proxy's part of the idle connections that the template allows
// for all.
func (p *Pool) idleShare() int {
	total := p.template.MaxIdleConns
	if total == 0 {
		total = 256
	}
	return max(1, total/max(1, len(p.live.Load().proxies)))
}

// dialError is why the proxy was not reached.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// dial opens a connection to the proxy that ends with the address. It ends with the
// use it is for, too, until a request has it: net/http would keep it for a minute.
func (a *address) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	u, _ := ctx.Value(useKey{}).(*use)
	var d *dialing
	if u != nil {
		ctx, d = u.begin(ctx)
	}
	err := a.bar()
	var raw net.Conn
	if err == nil {
		if raw, err = a.dialer(ctx, network, addr); raw == nil && err == nil {
			err = errors.New("DialContext of the transport returned neither a connection nor an error")
		}
	}
	if err != nil {
		if d != nil {
			d.giveUp()
		}
		return nil, &dialError{err}
	}
	c := &conn{Conn: raw, a: a, dialing: d}
	if u != nil {
		u.dialed.Store(true)
		c.payFor(u.l)
	}
	a.mu.Lock()
	closed := a.closed
	if !closed {
		a.conns[c] = struct{}{}
	}
	a.mu.Unlock()
	switch {
	case closed, a.bar() != nil:
		_ = c.Close()
		return nil, ErrExpired
	case d != nil && !d.reached(c):
		_ = c.Close()
		return nil, &dialError{context.Canceled}
	}
	return c, nil
}

// conn is a connection to a proxy.
type conn struct {
	net.Conn
	a     *address
	taken atomic.Bool // a request got it

	dialing *dialing // nil for raw connections

	// Who the traffic is for. With HTTP/2, the last one who came.
	session, host atomic.Pointer[meter]
}

// payFor counts what comes from now on for the lease.
func (c *conn) payFor(l *Lease) {
	if m := l.meter(); c.session.Load() != m {
		c.session.Store(m)
	}
	if m := c.host.Load(); m == nil || m.name != l.target.host {
		c.host.Store(c.a.pool.traffic.host(l.target.host))
	}
}

// connOf finds the connection to the proxy under what net/http calls a connection.
func connOf(c net.Conn) *conn {
	for c != nil {
		if c, ok := c.(*conn); ok {
			return c
		}
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = inner.NetConn()
	}
	return nil
}

func (c *conn) Read(b []byte) (int, error) {
	if c.a.pool.overBudget() {
		return 0, ErrByteBudget
	}
	n, err := c.Conn.Read(b)
	c.count(0, int64(n))
	if err != nil && c.a.bar() != nil {
		err = errClaimEnded
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	if c.a.pool.overBudget() {
		return 0, ErrByteBudget
	}
	if err := c.a.bar(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(b)
	c.count(int64(n), 0)
	return n, err
}

func (c *conn) count(up, down int64) {
	c.a.up.Add(up)
	c.a.down.Add(down)
	c.a.pool.traffic.all.add(up, down)
	c.session.Load().add(up, down)
	c.host.Load().add(up, down)
}

// CloseWrite ends what is sent and leaves what is received open.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *conn) Close() error {
	c.a.mu.Lock()
	delete(c.a.conns, c)
	c.a.mu.Unlock()
	return c.Conn.Close()
}

// outs are the targets that an address is out for.
type outs struct {
	any atomic.Bool
	mu  sync.RWMutex
	m   map[string]outFor
	// swept is the size from which expired ones are looked for.
	swept int
}

// outFor is why an address is out for a target.
type outFor struct {
	until clock.Instant
	why   outReason
	n     int // times in a row
}

type outReason int

const (
	outUnproven outReason = iota // failed there: nobody knows yet whose fault it is
	outBanned                    // was judged
	outSlowed                    // was told to slow down
)

const mostOuts = 4096 // targets that one address can be out for

func (o *outs) until(target string) clock.Instant {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.m[target].until
}

func (o *outs) get(target string) outFor {
	if !o.any.Load() {
		return outFor{}
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.m[target]
}

func (o *outs) set(target string, f outFor, now clock.Instant) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.m == nil {
		o.m, o.swept = map[string]outFor{}, 64
	}
	if len(o.m) >= o.swept {
		for t, f := range o.m {
			if f.until <= now || len(o.m) >= mostOuts {
				delete(o.m, t)
			}
		}
		o.swept = min(max(64, 2*len(o.m)), mostOuts)
	}
	o.m[target] = f
	o.any.Store(true)
}

func (o *outs) remove(target string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.m, target)
	o.any.Store(len(o.m) > 0)
}
