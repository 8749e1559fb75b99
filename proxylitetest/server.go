package proxylitetest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Server is a ProxyLite API on loopback. It is safe for concurrent use.
type Server struct {
	URL string // the origin, for proxylite.WithBaseURL
	Key string // the app_key it takes

	t              TB
	token          string
	now            func() time.Time
	http           *httptest.Server
	proxy          ProxyOptions // of the proxies that it makes
	withoutProxies bool
	closing        chan struct{}
	close          sync.Once

	mu     sync.Mutex
	state  State
	calls  []Call
	faults map[string][]Fault

	proxies []*Proxy // extracted, dead ones too
	gateway *Proxy
	unreal  int // endpoints handed out that are no proxies
}

// Option sets up a server; see [NewServer].
type Option func(*Server)

// WithKey sets the app_key that the server takes; by default it is a fixed one.
func WithKey(key string) Option { return func(s *Server) { s.Key = key } }

// WithToken makes the server take a JWT too, in the Authorization header. Without
// it every Bearer token is refused.
func WithToken(jwt string) Option { return func(s *Server) { s.token = jwt } }

// WithState replaces the demo data that a server begins with. State{} is an
// account with nothing in it.
func WithState(state State) Option { return func(s *Server) { s.state = state.clone() } }

// WithNow sets the server's clock, for what it dates: orders, accounts, the
// default period of the usage, the demo data.
func WithNow(now func() time.Time) Option { return func(s *Server) { s.now = now } }

// WithoutProxies makes extracted endpoints addresses of a network that is for
// documentation, where nobody is. By default each is a [Proxy] on loopback.
func WithoutProxies() Option { return func(s *Server) { s.withoutProxies = true } }

// WithProxyOptions sets up the proxies that the server makes: where a host name
// leads (Hosts), or how they dial. With a Username, extracted endpoints ask for that
// login and come with it; most of the real ones ask for none. Life, Auth and Now
// are the server's own.
func WithProxyOptions(o ProxyOptions) Option { return func(s *Server) { s.proxy = o } }

// NewServer starts a server on a free port of loopback. Unless [WithState] says
// otherwise it holds demo data: accounts with two weeks of usage, orders and plans
// of several pages, static IPs, locations, payment methods. It is the same each
// time, but for its dates, which are relative to now.
//
// If t is not nil, the server is closed when the test ends, and the test fails if a
// fault of [Server.FailNext] was not used by then. If t is nil, the caller closes the
// server.
func NewServer(t TB, opts ...Option) *Server {
	s := &Server{
		Key: "0123456789abcdef0123456789abcdef", t: t, now: time.Now,
		closing: make(chan struct{}), faults: map[string][]Fault{},
	}
	s.state.demo = true
	for _, opt := range opts {
		if opt != nil {
			opt(s)
		}
	}
	if s.state.demo {
		s.state = DemoState(s.now())
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.http.URL
	if t != nil {
		t.Helper()
		t.Cleanup(func() {
			s.Close()
			s.unusedFaults()
		})
	}
	return s
}

// Close stops the server and all of its proxies. Calls under way are ended. It may
// be called twice.
func (s *Server) Close() {
	s.close.Do(func() {
		close(s.closing)
		s.http.CloseClientConnections()
		s.http.Close()
		for _, p := range s.proxies { // no handler adds any more
			p.Close()
		}
		if s.gateway != nil {
			s.gateway.Close()
		}
	})
}

// String names the URL; the key is left out.
func (s *Server) String() string { return "proxylitetest.Server(" + s.URL + ")" }

// GoString keeps the key out of %#v.
func (s *Server) GoString() string { return s.String() }

// Client returns a client of this server, made with its key. The options come
// last, so they may change all of that.
func (s *Server) Client(opts ...proxylite.Option) *proxylite.Client {
	c, err := proxylite.NewClient(proxylite.AppKey(s.Key), append([]proxylite.Option{proxylite.WithBaseURL(s.URL)}, opts...)...)
	if err != nil {
		s.misused("Client: %v", err)
	}
	return c
}

// misused ends the test, or the program, over a mistake in it.
func (s *Server) misused(format string, args ...any) {
	if s.t == nil {
		panic("proxylitetest: " + fmt.Sprintf(format, args...))
	}
	s.t.Helper()
	s.t.Fatalf("proxylitetest: "+format, args...)
}

// State returns a copy of all that the server holds.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.clone()
}

// Update changes what the server holds. No call is answered meanwhile, so f must
// not make one, nor use the server.
func (s *Server) Update(f func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.serves, s.state.indexed = true, false
	f(&s.state)
	s.state = s.state.clone() // f may have kept a part of it
}

// Call is a request that a server got.
type Call struct {
	Operation string // as the SDK names it, e.g. "Accounts.List"; empty for a path it doesn't have
	Method    string
	Path      string     // e.g. "/end-point/whitelist-account/list"
	Auth      string     // where the credential stood: "query", "body", "bearer" or nowhere
	Query     url.Values // without the app_key
	Body      string     // as sent; with an app_key it is written anew without it
	Status    int        // HTTP status that was answered; 0 if none was, or not yet
	Code      int        // code of the answer's envelope; 0 also if it had none
	Time      time.Time  // when it came, by the server's clock
}

// Calls returns the requests so far, in the order in which they came.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := slices.Clone(s.calls)
	for i, c := range calls {
		calls[i].Query = cloneValues(c.Query)
	}
	return calls
}

func cloneValues(v url.Values) url.Values { return url.Values(http.Header(v).Clone()) }
