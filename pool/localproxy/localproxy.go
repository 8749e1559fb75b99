// Package localproxy is a proxy on this machine over a pool. Browsers, curl and
// programs in any language use the pool through it and need no login: behind one
// address, proxies rotate, stay, expire and are replaced.
//
//	p, err := pool.New(pool.Extract(client.IP, proxylite.IPExtractParams{Quantity: 20, Life: 30 * time.Minute}))
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	local, err := localproxy.New(p)
//	if err != nil {
//		return err
//	}
//	listener, err := net.Listen("tcp", "127.0.0.1:8118")
//	if err != nil {
//		return err
//	}
//	return local.Serve(listener)
//
// Then others use it:
//
//   - curl -x http://127.0.0.1:8118 https://example.com
//   - curl -x http://session-a1:@127.0.0.1:8118 https://example.com
//   - chromium --proxy-server=127.0.0.1:8118
//
// One port speaks HTTP (requests for http:// and CONNECT) and SOCKS5. Names are
// resolved by the proxies of the pool. It never connects to a target itself, also
// when the pool is empty or closed.
//
// # User names
//
// The user name of a client picks the way out. Its parts are joined by "_", each
// given once, in any order:
//
//   - session-KEY keeps one proxy for the key, as [pool.WithSession] does. A key has 1
//     to 64 letters, digits, dots and hyphens.
//   - country-CC is the pool of a [pool.Group] for a country of two upper-case letters.
//   - rotate means no session, as no user name does: the rotation of the pool.
//
// With [WithLogin], the name of the login is the first part: bob_session-a1. A user name
// with anything else is refused. Without a login, any password is accepted.
//
// # Refusals
//
// A request that is not passed on gets status 400, 403, 407, 502 or 503, the reason in the
// header Proxylite-Reason, and a JSON body. See docs/localproxy.md for the reasons.
package localproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go/internal/proxyserver"
	"github.com/proxylite/proxylite-go/pool"
)

// Server is a local proxy. Its methods are safe for concurrent use. Close it; that
// does not close the pool.
type Server struct {
	settings
	pools pools
	proxy *proxyserver.Server
	books books

	mu  sync.Mutex
	own map[int]struct{} // ports
}

// pools are what a server leads to.
type pools interface {
	of(country string) (*pool.Pool, error)
	all() map[string]*pool.Pool // by country
}

type onePool struct{ p *pool.Pool }

func (o onePool) of(country string) (*pool.Pool, error) {
	if country != "" {
		return nil, badUser("country-%s: there is one pool only, which has no countries", country)
	}
	return o.p, nil
}

func (o onePool) all() map[string]*pool.Pool { return map[string]*pool.Pool{"": o.p} }

type group struct{ *pool.Group }

func (g group) of(country string) (*pool.Pool, error) {
	if country == "" {
		return nil, badUser("the user name must say which pool: country-US")
	}
	return g.Pool(country)
}

func (g group) all() map[string]*pool.Pool {
	list := map[string]*pool.Pool{}
	for country := range g.Stats() {
		if p, err := g.Pool(country); err == nil {
			list[country] = p
		}
	}
	return list
}

// New returns a proxy over a pool. It listens when [Server.Serve] is called.
func New(p *pool.Pool, opts ...Option) (*Server, error) {
	if p == nil {
		return nil, errors.New("localproxy: the pool is nil")
	}
	return newServer(onePool{p}, opts)
}

// NewGroup returns a proxy over a group of pools whose keys are countries, such as "US".
// Each user name must have a country, or [WithDefaultUser] one for those without.
func NewGroup(g *pool.Group, opts ...Option) (*Server, error) {
	if g == nil {
		return nil, errors.New("localproxy: the group is nil")
	}
	return newServer(group{g}, opts)
}

func newServer(p pools, opts []Option) (*Server, error) {
	s := &Server{pools: p, own: map[int]struct{}{}}
	if err := s.apply(opts); err != nil {
		return nil, err
	}
	s.proxy = proxyserver.New(handler{s}, proxyserver.Options{
		Handshake: s.handshake, KeepAlive: keepAlive, Header: mostHeader, Conns: s.mostConns,
	})
	return s, nil
}

const (
	keepAlive  = 2 * time.Minute // between plain requests of a connection
	mostHeader = 64 << 10
)

// Serve takes connections from a listener until [Server.Shutdown] or [Server.Close], and
// then returns http.ErrServerClosed. It closes the listener. It can be called for several
// listeners. One that is not on a loopback address or a Unix socket is an error without
// [WithLogin]: anybody could use the pool.
func (s *Server) Serve(l net.Listener) error {
	addr, tcp := l.Addr().(*net.TCPAddr)
	_, unix := l.Addr().(*net.UnixAddr)
	if len(s.logins) == 0 && !unix && (!tcp || !addr.IP.IsLoopback()) {
		_ = l.Close()
		return fmt.Errorf("localproxy: %v is not a loopback address: use 127.0.0.1, or WithLogin", l.Addr())
	}
	if tcp {
		s.mu.Lock()
		s.own[addr.Port] = struct{}{}
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.own, addr.Port)
		}()
	}
	return s.proxy.Serve(l)
}

// Shutdown frees the ports, closes connections at rest, and waits until tunnels and
// requests have ended. When the context ends first, they are cut, and its error is
// returned.
func (s *Server) Shutdown(ctx context.Context) error { return s.proxy.Shutdown(ctx) }

// Close frees the ports and cuts all connections. Every goroutine of the server has
// ended when it returns.
func (s *Server) Close() error {
	s.proxy.Close()
	return nil
}

// EndSession makes the next use of a session that of a new one, see
// [pool.Pool.EndSession], and its bytes count from zero. The name is that of
// [Server.Sessions]: "session-a1" or "bob_country-US_session-a1". It returns
// false if there is no such session.
func (s *Server) EndSession(name string) bool {
	c, err := s.parse(name)
	if err != nil || c.session == "" {
		return false
	}
	known := s.books.sessions.forget(c.String())
	for country, p := range s.pools.all() { // of would make a pool
		if country == c.country {
			known = p.EndSession(c.key()) || known
		}
	}
	return known
}

// handler does what the protocols ask for.
type handler struct{ *Server }

func (h handler) Accept(raw net.Conn) net.Conn { return &clientConn{Conn: raw, books: &h.books} }

func (h handler) Login(r *proxyserver.Request) bool {
	if !r.HasLogin {
		return !r.OffersLogin && len(h.logins) == 0
	}
	_, err := h.choose(r)
	return err == nil
}

// begin decides on a request. The caller ends the use.
func (h handler) begin(r *proxyserver.Request) (*use, error) {
	c, err := h.choose(r)
	if err != nil {
		return nil, err
	}
	target, host, err := h.check(r.Target)
	if err != nil {
		return nil, err
	}
	p, err := h.pools.of(c.country)
	if err != nil {
		return nil, err
	}
	u := &use{choice: c, target: target, pool: p, conn: r.Conn.(*clientConn), protocol: r.Protocol, start: time.Now()}
	if err := h.open(u, host); err != nil {
		return nil, err
	}
	return u, nil
}

func (h handler) Connect(_ context.Context, r *proxyserver.Request) (net.Conn, error) {
	u, err := h.begin(r)
	if err != nil {
		return nil, err
	}
	// A browser that has gone needs no tunnel.
	ctx, cancel := context.WithTimeout(u.choice.context(r.Context), h.connecting)
	defer cancel()
	conn, err := u.pool.Tunnel(ctx, u.target)
	if err != nil {
		u.end()
		return nil, err
	}
	h.books.tunnels.Add(1)
	return conn, nil
}

func (h handler) Forward(w http.ResponseWriter, in *http.Request, r *proxyserver.Request) error {
	u, err := h.begin(r)
	if err != nil {
		return err
	}
	defer u.end()
	ctx, cancel := context.WithCancelCause(u.choice.context(in.Context()))
	defer cancel(nil)
	late := time.AfterFunc(h.connecting, func() { cancel(context.DeadlineExceeded) })
	defer late.Stop()
	in = in.WithContext(ctx)
	if in.Header.Get("Accept-Encoding") == "" {
		in.Header.Set("Accept-Encoding", "identity") // else net/http asks for gzip and unpacks it
	}
	return proxyserver.Forward(w, in, sending{u.pool.Transport(), late}, func(resp *http.Response) {
		resp.Header.Del(reasonHeader) // only ours may say that
	})
}

func (h handler) Refuse(r *proxyserver.Request, err error) *proxyserver.Refusal {
	h.books.refused.Add(1)
	ref := refusalOf(err)
	h.log.Info("refused", slog.String("protocol", r.Protocol), slog.String("target", fmt.Sprintf("%.300s", r.Target)),
		slog.String("reason", ref.reason), slog.String("error", ref.message))
	return ref.response()
}
