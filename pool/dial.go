package pool

import (
	"context"
	"fmt"
	"net"
	"strings"

	"golang.org/x/net/proxy"
)

// DialContext connects to addr (host:port) over SOCKS5 through a proxy, for raw
// TCP. The name is resolved by the proxy. The proxy is in use until the connection
// is closed. When one does not connect, another is tried, up to [WithAttempts];
// nothing has been sent then. It is what http.Transport.DialContext wants, too, and
// the same warning as at [Pool.Proxy] holds.
func (p *Pool) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return nil, fmt.Errorf("pool: can dial tcp to host:port only, not %s to %q", network, addr)
	}
	q := query{host: strings.ToLower(host), session: sessionOf(ctx)}
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
		conn, err := l.a.socks5(ctx, p, network, addr)
		if err == nil {
			l.reported = true
			l.report(Worked, nil)
			return &leasedConn{conn, l}, nil
		}
		l.finish(judge(ctx, err, false), err)
		failed = &Error{Proxy: l.String(), Attempts: attempt, Err: err}
		if ctx.Err() != nil || attempt >= p.attempts {
			return nil, failed
		}
		p.counters.retries.Add(1)
	}
}

func (a *address) socks5(ctx context.Context, p *Pool, network, addr string) (net.Conn, error) {
	patience, late := p.patience(a)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, late)
	defer cancel()
	var auth *proxy.Auth
	if a.Endpoint.Username != "" {
		auth = &proxy.Auth{User: a.Endpoint.Username, Password: a.Endpoint.Password}
	}
	dialer, err := proxy.SOCKS5("tcp", a.Endpoint.Addr(), auth, dialFunc(a.dial))
	if err != nil {
		return nil, err
	}
	conn, err := dialer.(proxy.ContextDialer).DialContext(ctx, network, addr)
	if err == nil {
		return conn, nil
	}
	if context.Cause(ctx) == late {
		return nil, late
	}
	return nil, socksRefusal(a.String(), err)
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
	l *Lease
}

func (c *leasedConn) Close() error {
	err := c.Conn.Close()
	c.l.finish(Worked, nil)
	return err
}
