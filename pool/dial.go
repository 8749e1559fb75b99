package pool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"golang.org/x/net/proxy"
)

// DialContext connects to addr (host:port) over SOCKS5 through a proxy, for raw
// TCP. The name is resolved by the proxy. The proxy is in use until the connection
// is closed. When one does not connect, another is tried, up to [WithAttempts];
// nothing has been sent then. A connection that breaks before its first byte came
// counts against the proxy as a failure for that target. It has CloseWrite. It is
// what http.Transport.DialContext wants, too, and the same warning as at
// [Pool.Proxy] holds.
func (p *Pool) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return nil, fmt.Errorf("pool: can dial tcp to host:port only, not %s to %q", network, addr)
	}
	if p.scheme == "https" {
		return nil, errors.New(`pool: raw connections go over SOCKS5, which WithScheme("https") rules out`)
	}
	if err := checkHost(host); err != nil {
		return nil, err
	}
	return p.connect(ctx, addr, askSOCKS5)
}

// handshake asks a proxy for a connection to addr. What the proxy has sent beyond its
// response is early.
type handshake func(ctx context.Context, c *conn, addr string) (opened net.Conn, early []byte, err error)

// connect tries proxies until one connects.
func (p *Pool) connect(ctx context.Context, addr string, ask handshake) (net.Conn, error) {
	q := newQuery(ctx, targetOf(addr))
	var failed *Error
	for attempt := 1; ; attempt++ {
		l, err := p.lease(ctx, q)
		if err != nil {
			if failed != nil {
				failed.Err = fmt.Errorf("%w; then %w", failed.Err, err)
				return nil, failed
			}
			return nil, err
		}
		conn, f := l.connect(ctx, addr, ask)
		if conn != nil {
			return conn, nil
		}
		l.finish(f)
		failed = &Error{Proxy: l.String(), Attempts: attempt, Err: l.hide(f.err)}
		if ctx.Err() != nil || attempt >= p.attempts {
			return nil, failed
		}
		p.counters.retries.Add(1)
	}
}

func (l *Lease) connect(ctx context.Context, addr string, ask handshake) (net.Conn, finding) {
	a, p := l.a, l.pool
	patience, late := p.patience(a)
	inner, cancel := context.WithTimeoutCause(ctx, patience, late)
	defer cancel()
	var raw *conn
	dialed, err := a.dial(inner, "tcp", a.endpoint.Addr())
	if err == nil {
		raw = dialed.(*conn)
		raw.taken.Store(true)
		raw.payFor(l)
		var opened net.Conn
		var early []byte
		if opened, early, err = ask(inner, raw, addr); err == nil {
			return &leasedConn{Conn: opened, raw: raw, l: l, early: early}, finding{}
		}
		_ = raw.Close()
	}
	if ctx.Err() == nil && context.Cause(inner) == late {
		if err = late; raw == nil && late != ErrExpired {
			err = &dialError{late}
		}
	}
	s := situation{
		err: socksRefusal(a.String(), err), reached: raw != nil,
		canceled: errors.Is(ctx.Err(), context.Canceled), late: errors.Is(ctx.Err(), context.DeadlineExceeded),
	}
	s.slow = s.late && p.now().mono.Sub(l.start) >= p.connecting/3
	return nil, judge(s)
}

// askSOCKS5 is the handshake of SOCKS5.
func askSOCKS5(ctx context.Context, c *conn, addr string) (net.Conn, []byte, error) {
	endpoint := c.a.endpoint
	var auth *proxy.Auth
	if endpoint.Username != "" {
		auth = &proxy.Auth{User: endpoint.Username, Password: endpoint.Password.Reveal()}
	}
	dialer, err := proxy.SOCKS5("tcp", endpoint.Addr(), auth, dialFunc(func(context.Context, string, string) (net.Conn, error) {
		return c, nil
	}))
	if err != nil {
		return nil, nil, err
	}
	opened, err := dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
	return opened, nil, err
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func (f dialFunc) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return f(ctx, network, addr)
}

func (f dialFunc) Dial(network, addr string) (net.Conn, error) {
	return f(context.Background(), network, addr)
}

// leasedConn ends its lease when it is closed.
type leasedConn struct {
	net.Conn
	raw    *conn
	l      *Lease
	early  []byte       // came with the proxy's response
	got    atomic.Bool  // a byte came
	ended  atomic.Bool  // this side has ended: that the other one ends, too, is no failure
	broken atomic.Value // error: the other side ended it before
}

func (c *leasedConn) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		c.early = c.early[n:]
		c.got.Store(true)
		return n, nil
	}
	n, err := c.Conn.Read(b)
	if n > 0 && !c.got.Load() {
		c.got.Store(true)
	}
	c.failed(err)
	return n, err
}

func (c *leasedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.failed(err)
	return n, err
}

// failed remembers that the other side ended the connection before it was of use.
func (c *leasedConn) failed(err error) {
	if err == nil || c.got.Load() || c.ended.Load() || errors.Is(err, net.ErrClosed) {
		return
	}
	if t, ok := errors.AsType[net.Error](err); !ok || !t.Timeout() {
		c.broken.CompareAndSwap(nil, &err)
	}
}

// CloseWrite tells the target that nothing more will be sent.
func (c *leasedConn) CloseWrite() error {
	c.ended.Store(true)
	if half, ok := c.Conn.(*tls.Conn); ok {
		return half.CloseWrite()
	}
	return c.raw.CloseWrite()
}

func (c *leasedConn) Close() error {
	err := c.Conn.Close()
	f := finding{verdict: Worked}
	if broken, ok := c.broken.Load().(*error); ok {
		f = judge(situation{err: *broken, reached: true, tunnel: true})
	}
	c.l.finish(f)
	return err
}
