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
	Key string // the app_key that it accepts

	t              TB
	token          string
	now            func() time.Time
	http           *httptest.Server
	proxy          ProxyOptions // of the proxies that it makes
	withoutProxies bool
	rules          NameRules
	lag            time.Duration
	closing        chan struct{}
	close          sync.Once

	mu     sync.Mutex
	state  State
	calls  []Call
	faults map[string][]Fault

	due       []lateChange         // changes that take effect later
	disabling map[string]time.Time // when accounts will be disabled, by user name

	proxies []*Proxy // extracted, dead ones too
	gateway *Proxy
	unreal  int // endpoints handed out that are no proxies
}

// Option configures a server; see [NewServer].
type Option func(*Server)

// WithKey sets the app_key that the server accepts. The default is a fixed key.
func WithKey(key string) Option { return func(s *Server) { s.Key = key } }

// WithToken makes the server accept a JWT too, in the Authorization header. Without
// this option it refuses every Bearer token.
func WithToken(jwt string) Option { return func(s *Server) { s.token = jwt } }

// WithState replaces the demo data that a server starts with. State{} is an account
// with nothing in it.
func WithState(state State) Option { return func(s *Server) { s.state = state.clone() } }

// WithNow sets the server's clock. It dates orders, accounts and the demo data, and
// sets the default period of the usage.
func WithNow(now func() time.Time) Option { return func(s *Server) { s.now = now } }

// WithoutProxies makes extracted endpoints addresses from a network reserved for
// documentation. By default each is a working [Proxy] on loopback.
func WithoutProxies() Option { return func(s *Server) { s.withoutProxies = true } }

// WithProxyOptions configures the proxies that the server starts: where a host name
// leads (Hosts), or how they dial. With a Username, extracted endpoints require that
// login and include it; most real ones require none. The server itself sets Life,
// Auth and Now.
func WithProxyOptions(o ProxyOptions) Option { return func(s *Server) { s.proxy = o } }

// NewServer starts a server on a free port of loopback. Without [WithState] it holds
// demo data: accounts with two weeks of usage, several pages of orders and plans,
// static IPs, locations and payment methods. The data is always the same, except for
// its dates, which are relative to now.
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

// Close stops the server and all of its proxies, and aborts calls in progress. It
// can be called twice.
func (s *Server) Close() {
	s.close.Do(func() {
		close(s.closing)
		s.http.CloseClientConnections()
		s.http.Close()
		for _, p := range s.proxies { // no handler adds one now
			p.Close()
		}
		if s.gateway != nil {
			s.gateway.Close()
		}
	})
}

// String returns the URL, without the key.
func (s *Server) String() string { return "proxylitetest.Server(" + s.URL + ")" }

// GoString keeps the key out of %#v.
func (s *Server) GoString() string { return s.String() }

// Client returns a client for this server with its key. The options are applied
// last, so they can override both.
func (s *Server) Client(opts ...proxylite.Option) *proxylite.Client {
	c, err := proxylite.NewClient(proxylite.AppKey(s.Key), append([]proxylite.Option{proxylite.WithBaseURL(s.URL)}, opts...)...)
	if err != nil {
		s.misused("Client: %v", err)
	}
	return c
}

// misused ends the test, or panics without one, because of a mistake in it.
func (s *Server) misused(format string, args ...any) {
	if s.t == nil {
		panic("proxylitetest: " + fmt.Sprintf(format, args...))
	}
	s.t.Helper()
	s.t.Fatalf("proxylitetest: "+format, args...)
}

// State returns a copy of everything that the server holds.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp(s.now())
	return s.state.clone()
}

// Update calls f to change what the server holds. The server handles no call
// meanwhile, so f must not make one, nor call methods of the server.
func (s *Server) Update(f func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp(s.now())
	s.state.serves, s.state.indexed = true, false
	f(&s.state)
	s.state = s.state.clone() // f may have kept a reference
}

// Call is a request that a server received.
type Call struct {
	Operation string // as the SDK names it, e.g. "Accounts.List"; empty for an unknown path
	Method    string
	Path      string     // e.g. "/end-point/whitelist-account/list"
	Auth      string     // where the credential was: "query", "body", "bearer" or "" for none
	Query     url.Values // without the app_key
	Body      string     // as sent, or without the app_key if it had one
	Status    int        // HTTP status of the response; 0 if there is none, or not yet
	Code      int        // code of the response's envelope; 0 also if it has none
	Time      time.Time  // when it arrived, by the server's clock
}

// Calls returns the requests so far, in the order of their arrival.
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
