package localproxy

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/proxyserver"
	"github.com/proxylite/proxylite-go/internal/splice"
	"github.com/proxylite/proxylite-go/pool"
)

// Stats is a proxy in figures. Those below Active only grow.
type Stats struct {
	Connections int `json:"connections"` // from clients, open now
	Active      int `json:"active"`      // tunnels and requests under way

	Requests uint64 `json:"requests"` // admitted, tunnels included
	Tunnels  uint64 `json:"tunnels"`  // opened, over CONNECT and SOCKS5
	Refused  uint64 `json:"refused"`  // or failed, without a response of the target
	Up       int64  `json:"up"`       // bytes from clients
	Down     int64  `json:"down"`     // bytes to clients
}

// Usage is the traffic of one session, user or target host.
type Usage struct {
	Name     string `json:"name"`
	Active   int    `json:"active"`   // tunnels and requests under way
	Requests uint64 `json:"requests"` // tunnels included
	Up       int64  `json:"up"`       // bytes from clients
	Down     int64  `json:"down"`     // bytes to clients
}

// Stats returns the figures of now.
func (s *Server) Stats() Stats {
	b := &s.books
	return Stats{
		Connections: s.proxy.Open(), Active: int(b.all.active.Load()),
		Requests: b.all.requests.Load(), Tunnels: b.tunnels.Load(), Refused: b.refused.Load(),
		Up: b.all.up.Load(), Down: b.all.down.Load(),
	}
}

// Sessions lists the traffic of sessions, most first, by the user names that pick them.
// As with [Server.Users] and [Server.Targets], there are 10,000 at most beside those in
// use; what is forgotten is added up under an empty name.
func (s *Server) Sessions() []Usage { return s.books.sessions.list() }

// Users lists the traffic of each [WithLogin].
func (s *Server) Users() []Usage { return s.books.users.list() }

// Targets lists the traffic of target hosts.
func (s *Server) Targets() []Usage { return s.books.targets.list() }

// books are what has passed.
type books struct {
	all                      account
	sessions, users, targets ledger
	tunnels, refused         atomic.Uint64
}

type account struct {
	active   atomic.Int64
	requests atomic.Uint64
	up, down atomic.Int64
}

func (a *account) begin() {
	a.active.Add(1)
	a.requests.Add(1)
}

func (a *account) bytes() int64 { return a.up.Load() + a.down.Load() }

func (a *account) usage(name string) Usage {
	return Usage{name, int(a.active.Load()), a.requests.Load(), a.up.Load(), a.down.Load()}
}

// ledger has an account for each name.
type ledger struct {
	mu     sync.Mutex
	m      map[string]*account
	others account // that were forgotten
}

const mostAccounts = 10_000

// begin returns the account for a name, which is in use until its active is counted down.
// It returns false if more than most would be active.
func (l *ledger) begin(name string, most int64) (*account, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.m[name]
	if a == nil {
		if l.m == nil {
			l.m = map[string]*account{}
		}
		if len(l.m) >= mostAccounts {
			l.sweep()
		}
		a = &account{}
		l.m[name] = a
	}
	if most > 0 && a.active.Load() >= most {
		return a, false
	}
	a.begin()
	return a, true
}

// sweep forgets half of the accounts, if so many are not in use.
func (l *ledger) sweep() {
	for name, a := range l.m {
		if len(l.m) <= mostAccounts/2 {
			return
		}
		if a.active.Load() == 0 {
			l.drop(name, a)
		}
	}
}

func (l *ledger) drop(name string, a *account) {
	delete(l.m, name)
	l.others.requests.Add(a.requests.Load())
	l.others.up.Add(a.up.Load())
	l.others.down.Add(a.down.Load())
}

func (l *ledger) forget(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.m[name]
	if a == nil {
		return false
	}
	l.drop(name, a)
	return true
}

func (l *ledger) list() []Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := []Usage{}
	for name, a := range l.m {
		list = append(list, a.usage(name))
	}
	if l.others.requests.Load() > 0 {
		list = append(list, l.others.usage(""))
	}
	slices.SortFunc(list, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(b.Up+b.Down, a.Up+a.Down), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// use is a tunnel or a request.
type use struct {
	choice   choice
	target   string
	protocol string
	pool     *pool.Pool
	conn     *clientConn
	server   *Server
	start    time.Time

	accounts []*account // all, the target's, and the user's and the session's
	session  *account   // nil without
	up, down atomic.Int64

	mu          sync.Mutex
	ended       bool
	idle, total *time.Timer
	seen        int64 // bytes when idle was looked at
}

// open begins a use, if there is room for it.
func (s *Server) open(u *use, host string) error {
	u.server = s
	if s.bytes > 0 && s.books.all.bytes() >= s.bytes {
		return &refusal{status: 503, reason: "byte_cap", message: "the proxy has transferred what it may"}
	}
	if u.choice.session != "" {
		name := u.choice.String()
		a, ok := s.books.sessions.begin(name, s.mostPerSession)
		switch {
		case !ok:
			return &refusal{status: 503, reason: "session_full", message: "too many requests and tunnels of the session at once"}
		case s.sessionBytes > 0 && a.bytes() >= s.sessionBytes:
			a.active.Add(-1)
			return &refusal{status: 503, reason: "session_byte_cap", message: "the session has transferred what it may"}
		}
		u.session = a
		u.accounts = append(u.accounts, a)
	}
	if u.choice.user != "" {
		a, _ := s.books.users.begin(u.choice.user, 0)
		u.accounts = append(u.accounts, a)
	}
	target, _ := s.books.targets.begin(host, 0)
	s.books.all.begin()
	u.accounts = append(u.accounts, target, &s.books.all)
	u.mu.Lock()
	u.idle = time.AfterFunc(s.idle, u.checkIdle)
	if s.total > 0 {
		u.total = time.AfterFunc(s.total, u.cut)
	}
	u.mu.Unlock()
	u.conn.serve(u)
	return nil
}

// end is called at least once; the first time counts.
func (u *use) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return
	}
	u.ended = true
	u.idle.Stop()
	if u.total != nil {
		u.total.Stop()
	}
	for _, a := range u.accounts {
		a.active.Add(-1)
	}
	u.server.log.Debug("ended", slog.String("protocol", u.protocol), slog.String("target", u.target),
		slog.String("session", u.choice.session), slog.String("user", u.choice.user),
		slog.Int64("up", u.up.Load()), slog.Int64("down", u.down.Load()), slog.Duration("took", time.Since(u.start)))
}

func (u *use) cut() { proxyserver.Reset(u.conn.Conn) }

func (u *use) checkIdle() {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := u.up.Load() + u.down.Load()
	switch {
	case u.ended:
	case n == u.seen:
		u.cut()
	default:
		u.seen = n
		u.idle.Reset(u.server.idle)
	}
}

var errCap = errors.New("localproxy: the cap of bytes is reached")

// count books what has passed, and says whether more may.
func (u *use) count(up, down int64) error {
	u.up.Add(up)
	u.down.Add(down)
	for _, a := range u.accounts {
		if up > 0 {
			a.up.Add(up)
		}
		if down > 0 {
			a.down.Add(down)
		}
	}
	return u.over()
}

func (u *use) over() error {
	s := u.server
	if s.bytes > 0 && s.books.all.bytes() >= s.bytes || s.sessionBytes > 0 && u.session != nil && u.session.bytes() >= s.sessionBytes {
		return errCap
	}
	return nil
}

// clientConn counts what passes to and from a client: for the last request that came.
type clientConn struct {
	net.Conn
	books *books
	use   atomic.Pointer[use]
	early atomic.Int64 // bytes from the client before its first request is known
}

func (c *clientConn) serve(u *use) {
	c.use.Store(u)
	_ = u.count(c.early.Swap(0), 0)
}

func (c *clientConn) count(up, down int64) error {
	if u := c.use.Load(); u != nil {
		return u.count(up, down)
	}
	c.early.Add(up)
	return nil
}

func (c *clientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		if over := c.count(int64(n), 0); over != nil {
			return n, over
		}
	}
	return n, err
}

func (c *clientConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if over := c.count(0, int64(n)); over != nil && err == nil {
		err = over
	}
	return n, err
}

// WriteTo makes io.Copy leave the bytes in the kernel.
func (c *clientConn) WriteTo(w io.Writer) (int64, error) {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return splice.To(w, tcp, func(n int64) error { return c.count(n, 0) })
	}
	return io.Copy(w, struct{ io.Reader }{c})
}

// ReadFrom makes io.Copy leave the bytes in the kernel.
func (c *clientConn) ReadFrom(r io.Reader) (int64, error) {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return splice.From(tcp, r, func(n int64) error { return c.count(0, n) })
	}
	return io.Copy(struct{ io.Writer }{c}, r)
}

// Close ends the use that is under way.
func (c *clientConn) Close() error {
	err := c.Conn.Close()
	if u := c.use.Load(); u != nil {
		u.end()
	}
	return err
}
