package proxylitetest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/proxyserver"
)

// handshakeTimeout is how long a client may take to say what it wants.
const handshakeTimeout = time.Minute

// handler decides on what reaches a proxy.
type handler struct{ *Proxy }

func (p handler) Accept(raw net.Conn) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault.Dead {
		return nil
	}
	p.stats.Connections++
	return &clientConn{Conn: raw}
}

func (p handler) Login(r *proxyserver.Request) bool {
	p.mu.Lock()
	wrong := p.fault.Status == http.StatusProxyAuthRequired
	p.mu.Unlock()
	return !wrong && p.login(r)
}

// login tells whether a login is good. It is, where none is asked for.
func (p *Proxy) login(r *proxyserver.Request) bool {
	switch {
	case p.opts.Auth != nil:
		return r.HasLogin && p.opts.Auth(r.Username, r.Password)
	case p.opts.Username != "":
		return r.Username == p.opts.Username && r.Password == p.opts.Password
	}
	return true
}

func (p handler) Connect(ctx context.Context, r *proxyserver.Request) (net.Conn, error) {
	fault, err := p.admit(r)
	if err != nil {
		return nil, err
	}
	target, err := p.dial(ctx, "tcp", r.Target)
	if err != nil {
		return nil, err
	}
	p.record(p.seen(r, http.StatusOK))
	return &targetConn{Conn: target, p: p.Proxy, cut: fault.Reset, left: max(fault.ResetAfter, 0)}, nil
}

func (p handler) Forward(w http.ResponseWriter, in *http.Request, r *proxyserver.Request) error {
	fault, err := p.admit(r)
	if err != nil {
		return err
	}
	r.Conn.(*clientConn).cutBy(fault)
	return proxyserver.Forward(w, in, &p.transport, func(resp *http.Response) { p.record(p.seen(r, resp.StatusCode)) })
}

// admit waits as the fault says and decides on everything but the target.
func (p *Proxy) admit(r *proxyserver.Request) (ProxyFault, error) {
	p.mu.Lock()
	fault := p.fault
	p.mu.Unlock()
	c := r.Conn.(*clientConn)
	c.arrived, c.late = p.opts.Now(), p.expired()
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context.Done():
			return fault, r.Context.Err()
		}
	}
	switch {
	case fault.Status != 0:
		ref := &proxyserver.Refusal{Status: fault.Status, Reason: fault.Reason, Text: fault.Body}
		if fault.Status == http.StatusForbidden || fault.Status == 512 {
			ref.Reply = proxyserver.ReplyNotAllowed
		}
		return fault, ref
	case r.Protocol != proxyserver.SOCKS5 && !p.login(r): // of SOCKS5, it has been checked
		return fault, &proxyserver.Refusal{Status: http.StatusProxyAuthRequired, Reply: proxyserver.ReplyNotAllowed}
	case c.late:
		return fault, &proxyserver.Refusal{Status: 509, Text: "the life of this address is over"}
	}
	return fault, nil
}

func (p handler) Refuse(r *proxyserver.Request, err error) *proxyserver.Refusal {
	own := &proxyserver.Refusal{Status: http.StatusBadGateway, Text: err.Error()}
	if ref, ok := proxyserver.RefusalOf(err); ok {
		own = ref
	}
	if c := r.Conn.(*clientConn); c.arrived.IsZero() { // refused before admit
		c.arrived, c.late = p.opts.Now(), p.expired()
	}
	seen := p.seen(r, own.Status)
	seen.Refused = true
	p.record(seen)
	own.Header = http.Header{
		"Content-Type": {"text/plain; charset=utf-8"},
		"Proxy-Status": {"proxylitetest; error=http_request_denied"},
	}
	switch own.Status {
	case http.StatusProxyAuthRequired:
		own.Header.Set("Proxy-Authenticate", `Basic realm="proxylitetest"`)
	case http.StatusBadGateway:
		own.Header.Set("Proxy-Status", "proxylitetest; error=destination_unavailable")
	}
	return own
}

// seen is a request as it is remembered.
func (p *Proxy) seen(r *proxyserver.Request, status int) *ProxyRequest {
	c := r.Conn.(*clientConn)
	return &ProxyRequest{
		Time: c.arrived, Protocol: r.Protocol, Target: r.Target, Username: r.Username, Status: status, Expired: c.late,
	}
}

// clientConn is a connection from a client.
type clientConn struct {
	net.Conn
	cutAfter atomic.Int64 // bytes to the client before it is reset, plus one; 0: never

	// Of the request that is being served.
	arrived time.Time
	late    bool
}

var errCut = errors.New("proxylitetest: connection reset on purpose")

// cutBy arms the Reset of a fault, for the response to a plain request.
func (c *clientConn) cutBy(f ProxyFault) {
	c.cutAfter.Store(0)
	if f.Reset {
		c.cutAfter.Store(max(f.ResetAfter, 0) + 1)
	}
}

func (c *clientConn) Write(b []byte) (int, error) {
	armed := c.cutAfter.Load()
	if armed == 0 {
		return c.Conn.Write(b)
	}
	left := armed - 1
	if left > int64(len(b)) {
		c.cutAfter.Add(-int64(len(b)))
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:left])
	proxyserver.Reset(c.Conn)
	return n, errCut
}

// targetConn is the target of a tunnel. Its errors cut the tunnel.
type targetConn struct {
	net.Conn
	p    *Proxy
	cut  bool
	left int64 // bytes to the client before it is cut
}

// NetConn lets the tunnel half-close and reset what is underneath.
func (c *targetConn) NetConn() net.Conn { return c.Conn }

func (c *targetConn) Read(b []byte) (int, error) {
	if !c.cut {
		return c.Conn.Read(b)
	}
	if c.left == 0 {
		return 0, errCut
	}
	n, err := c.Conn.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

// Write fails after the life of the proxy.
func (c *targetConn) Write(b []byte) (int, error) {
	if c.p.expired() {
		return 0, errCut
	}
	return c.Conn.Write(b)
}
