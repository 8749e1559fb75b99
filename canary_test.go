package proxylite_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// The canaries. Each but the password has all that is written differently in a
// URL, in JSON, in HTML and in base64; a password is letters and digits.
const (
	canaryKey      = `kAn/ry+=&"\<é~%20'k`
	canaryToken    = `tOk/en+=&"\<é~%20't`
	canaryLogin    = `pRoxy/+=&"\<é~%20'u`
	canaryProxy    = `pRoxy/+=&"\<é~%20'p`
	canaryPassword = "pAssw0rdC4nary"
	canaryListed   = "l1stedPassw0rd"
)

// spill is all that came out of a call.
type spill struct {
	mu    sync.Mutex
	seen  map[string]bool // most of it comes out many times
	texts bytes.Buffer    // no secret may be here
	// carriers is what has passwords of accounts on purpose: the bodies of
	// requests and answers, JSON of what was returned.
	carriers bytes.Buffer
}

func (s *spill) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(&s.texts, p)
}

func (s *spill) add(to *bytes.Buffer, p []byte) (int, error) {
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	if !s.seen[string(p)] {
		s.seen[string(p)] = true
		to.Write(p)
	}
	return len(p), nil
}

// show prints values in every way there is; of an error, its whole tree.
func (s *spill) show(values ...any) {
	for _, v := range values {
		verbs := []string{"%v\n", "%+v\n", "%#v\n", "%q\n"}
		switch v.(type) { // what is alive: deeper than this net/http writes
		case *http.Request, *http.Response:
			verbs = verbs[:3]
		case context.Context:
			verbs = verbs[:2]
		}
		for _, verb := range verbs {
			fmt.Fprintf(s, verb, v)
		}
		if _, isLogged := v.(slog.LogValuer); isLogged { // of others slog makes %+v or JSON
			slog.New(slog.NewTextHandler(s, nil)).Info("v", "v", v)
			slog.New(slog.NewJSONHandler(s, nil)).Info("v", "v", v)
		}
		switch e := v.(type) {
		case interface{ Unwrap() error }:
			if e.Unwrap() != nil {
				s.show(e.Unwrap())
			}
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				s.show(err)
			}
		}
		s.carry(v)
	}
}

func (s *spill) carry(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, isBytes := v.([]byte); isBytes {
		_, _ = s.add(&s.carriers, b)
		return
	}
	if b, err := json.Marshal(v); err == nil {
		_, _ = s.add(&s.carriers, b)
	}
}

// leak looks for secrets in what came out since it was asked last.
func (s *spill) leak(t *testing.T, op string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, what := range []string{
		apitest.Leak(s.texts.String(), canaryKey, canaryToken, canaryLogin, canaryProxy, canaryPassword, canaryListed),
		apitest.Leak(s.carriers.String(), canaryKey, canaryToken, canaryLogin, canaryProxy),
	} {
		if what != "" {
			t.Errorf("%s: %s", op, what)
			return
		}
	}
	s.texts.Reset()
	s.carriers.Reset()
}

// canaryOperations are all operations, with the canary for the passwords that two
// of them send.
func canaryOperations() []apitest.Operation {
	all := append([]apitest.Operation(nil), apitest.Operations...)
	for i := range all {
		switch all[i].Name {
		case "Accounts.Add":
			all[i].Call = func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
				return apitest.None(c.Accounts.Add(ctx, proxylite.AccountAddParams{
					Accounts: []proxylite.NewAccount{{"user01", proxylite.NewPassword("another1")}, {"user02", proxylite.NewPassword(canaryPassword)}},
				}, o...))
			}
		case "Accounts.ChangePassword":
			all[i].Call = func(ctx context.Context, c *proxylite.Client, o ...proxylite.CallOption) (any, error) {
				return apitest.None(c.Accounts.ChangePassword(ctx, "user", proxylite.NewPassword(canaryPassword), o...))
			}
		}
	}
	return all
}

// success answers as documented, and with a password wherever an answer has one.
func success(t *testing.T, r *http.Request) string {
	login := `"username":"u","password":"` + canaryListed + `"`
	switch path := strings.TrimPrefix(r.URL.Path, "/end-point"); path {
	case "/whitelist-account/list":
		return `{"code":200,"data":{"list":[{"id":1,` + login + `}]}}`
	case "/ip/get-static-ip":
		return `{"code":200,"data":{"list":[{"id":1,"ip":"1.2.3.4","port":80,` + login + `}]}}`
	case "/ip/v3":
		return `{"code":200,"data":{"list":[["1.2.3.4:80:u:` + canaryListed + `",{"ip":"1.2.3.4","port":80,` + login + `}]]}}`
	default:
		for _, op := range apitest.Operations {
			if op.Path == path && !op.MayBeEmpty {
				return apitest.Fixture(t, op.Name+".json")
			}
		}
		return `{"code":0}`
	}
}

// An asked is a request as a hostile server knows it, byte for byte.
type asked struct {
	*http.Request
	text string
	t    *testing.T
}

func (a asked) secret() string {
	if a.Header.Get("Authorization") != "" {
		return canaryToken
	}
	return canaryKey
}

// echo says back all that it knows, in every writing. That takes long, so the operations
// share the writings out: one plays a quarter of them, unless it is the long run. Twice
// written texts are for package redact and the long run.
func (a asked) echo() string {
	_, body, _ := strings.Cut(a.text, "\r\n\r\n")
	turn := slices.IndexFunc(apitest.Operations, func(op apitest.Operation) bool { return "/end-point"+op.Path == a.URL.Path })
	parts := []string{a.text}
	for i, w := range apitest.Writings {
		if shares := apitest.Repetitions(4, 1); i%shares != turn%shares {
			continue
		}
		once := w(a.secret())
		texts := []string{once, "=" + once, "k=" + once, w(a.URL.String()), w(body)}
		for _, s := range texts[:apitest.Repetitions(2, len(texts))] {
			parts = append(parts, s, hex.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)))
		}
		parts = append(parts, strings.ToUpper(hex.EncodeToString([]byte(once))))
		for _, again := range apitest.Writings[:apitest.Repetitions(1, len(apitest.Writings))] {
			parts = append(parts, again(once))
		}
	}
	return strings.Join(parts, " ")
}

// line is what fits into a header of it.
func (a asked) line() string {
	head, body, _ := strings.Cut(a.text, "\r\n\r\n")
	parts := []string{strings.ReplaceAll(head, "\r\n", " "), body, url.QueryEscape(a.URL.String()), base64.StdEncoding.EncodeToString([]byte(a.URL.String()))}
	for _, w := range apitest.Writings {
		parts = append(parts, w(a.secret()))
	}
	return strings.Join(parts, " ")
}

// A trouble is a server, and what else a call meets.
type trouble struct {
	serve  func(conn net.Conn, a asked)
	target func(t *testing.T) (baseURL string, tr http.RoundTripper) // instead of serve
	opts   []proxylite.Option
	ctx    func(context.Context) context.Context
	after  func(t *testing.T)
}

// sends is a trouble that sends what it makes of the request, and closes.
func sends(text func(a asked) string) trouble {
	return trouble{serve: func(conn net.Conn, a asked) { _, _ = io.WriteString(conn, text(a)) }}
}

// page is an answer with a body.
func page(head string, body func(a asked) string) trouble {
	return sends(func(a asked) string {
		return strings.ReplaceAll("HTTP/1.1 "+head, "\n", "\r\n") + "\r\nConnection: close\r\n\r\n" + body(a)
	})
}

// listen serves on a real socket, one request for each connection.
func listen(t *testing.T, serve func(net.Conn, asked)) string {
	t.Helper()
	return apitest.Listen(t, func(conn net.Conn) {
		var text bytes.Buffer
		if r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &text))); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			serve(conn, asked{r, text.String(), t})
		}
	})
}

// troubles are what a call may meet, each over real connections.
func troubles(t *testing.T) map[string]trouble {
	echo := asked.echo
	reset := func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }
	var visitors atomic.Int32
	var accessLog spill
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		visitors.Add(1)
		accessLog.show(r.RequestURI, r.Header, apitest.BodyOf(t, r))
	}))
	t.Cleanup(elsewhere.Close)
	redirect := func(status string) trouble {
		f := sends(func(a asked) string {
			return "HTTP/1.1 " + status + "\r\nLocation: " + elsewhere.URL + a.URL.String() + "&next=" + url.QueryEscape(a.URL.String()) +
				"\r\nX-Echo: " + a.line() + "\r\nConnection: close\r\n\r\n"
		})
		f.after = func(t *testing.T) {
			require.Zero(t, visitors.Load(), "a redirect was followed")
			accessLog.leak(t, "access log")
		}
		return f
	}
	once := proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 1})
	panics := func(_ http.RoundTripper) http.RoundTripper {
		return apitest.RoundTripper(func(*http.Request) (*http.Response, error) { panic("middleware") })
	}
	cancelled := errors.New("shutting down")

	all := map[string]trouble{
		"success": sends(func(a asked) string {
			return "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + success(a.t, a.Request)
		}),
		"success with a header that echoes": sends(func(a asked) string {
			return "HTTP/1.1 200 " + a.URL.String() + "\r\nX-Echo: " + a.line() + "\r\n" +
				"Connection: close\r\n\r\n" + success(a.t, a.Request)
		}),
		"early hints that echo": sends(func(a asked) string {
			return "HTTP/1.1 103 Early Hints\r\nLink: <" + a.URL.String() + ">\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + success(a.t, a.Request)
		}),
		"dial refused": {target: func(*testing.T) (string, http.RoundTripper) { return "http://127.0.0.1:1", proxylite.NewTransport() }},
		"certificate of nobody": {target: func(t *testing.T) (string, http.RoundTripper) {
			server := httptest.NewUnstartedServer(nil)
			server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			return server.URL, proxylite.NewTransport()
		}},
		"not TLS": {target: func(t *testing.T) (string, http.RoundTripper) {
			server := httptest.NewServer(nil)
			t.Cleanup(server.Close)
			return "https://" + server.Listener.Addr().String(), proxylite.NewTransport()
		}},
		"reset":                 {serve: func(conn net.Conn, _ asked) { reset(conn) }},
		"closed":                {serve: func(net.Conn, asked) {}},
		"no HTTP, request line": sends(func(a asked) string { return a.text }),
		"no HTTP, all":          sends(func(a asked) string { return strings.ReplaceAll(a.echo(), "\r\n", " ") + "\r\n\r\n" }),
		"bad version":           sends(func(a asked) string { return "HTTP/9 " + a.URL.String() + "\r\n\r\n" }),
		"bad status":            sends(func(a asked) string { return "HTTP/1.1 " + a.URL.String() + "\r\n\r\n" }),
		"cut header":            sends(func(a asked) string { return "HTTP/1.1 200 OK\r\nX-Echo: " + a.URL.String() }),
		"bad header": sends(func(a asked) string {
			return "HTTP/1.1 200 OK\r\n" + a.URL.RequestURI() + " " + a.Header.Get("Authorization") + "\r\n\r\n"
		}),
		"bad length": sends(func(a asked) string { return "HTTP/1.1 200 OK\r\nContent-Length: " + a.URL.String() + "\r\n\r\n" }),
		"bad coding": sends(func(a asked) string { return "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + a.URL.String() + "\r\n\r\n" }),
		"bad chunk":  sends(func(a asked) string { return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + a.text }),
		"bad trailer": sends(func(a asked) string {
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.ReplaceAll(a.text, ":", " ") + "\r\n\r\n"
		}),
		"bad gzip":                         page("200 OK\nContent-Encoding: gzip", echo),
		"cut body":                         page("200 OK\nContent-Length: 999999", func(a asked) string { return `{"code":200,"data":` + apitest.InJSON(a.echo()) }),
		"cut page":                         page("503 No\nContent-Length: 999999", echo),
		"page":                             page("403 Forbidden", func(a asked) string { return "<html><title>" + a.secret() + "</title>" + a.echo() }),
		"page, 200":                        page("200 OK", func(a asked) string { return "<title>" + a.URL.String() + "</title>" + a.echo() }),
		"page, 502":                        page("502 Bad\nRetry-After: 0", func(a asked) string { return "<title>" + a.echo() }),
		"text, 500":                        page("500 Oh", echo),
		"no answer to a request from here": page("407 Proxy Authentication Required\nProxy-Authenticate: Basic", echo),
		"rate limit":                       page("429 Slow\nRetry-After: 99", echo),
		"refusal": page("200 OK", func(a asked) string {
			s := `"` + apitest.InJSON(a.echo()) + `"`
			return `{"code":3,"msg":` + s + `,"errors":{"echo":` + s + `},"data":` + s + `}`
		}),
		"refusal, short": page("200 OK", func(a asked) string {
			return `{"data":"` + apitest.InJSON(a.text) + `","code":9,"errors":"` + apitest.InJSON(a.text) + `","message":"` + apitest.InJSON(a.text) + `"}`
		}),
		"refusal, 401":        page("401 No", func(a asked) string { return `{"code":3,"msg":"` + apitest.InJSON(a.URL.String()) + `"}` }),
		"broken envelope":     page("200 OK", func(a asked) string { return `{"code":200,"data":` + a.echo() }),
		"code that is a text": page("200 OK", func(a asked) string { return `{"code":"` + apitest.InJSON(a.text) + `"}` }),
		"names that echo": page("200 OK", func(a asked) string {
			return `{"code":200,"data":{"` + apitest.InJSON(a.text) + `":{"list":5},"list":{"` + apitest.InJSON(a.text) + `":1}}}`
		}),
		"values that echo": page("200 OK", func(a asked) string {
			s := apitest.InJSON(a.text)
			return `{"code":200,"data":{"list":[{"id":["` + s + `"],"number":"` + s + `"}],"id":"` + s + `"}}`
		}),
		"redirect":      redirect("302 Found"),
		"redirect, 307": redirect("307 Temporary"),
		"redirect to bad": sends(func(a asked) string {
			return "HTTP/1.1 302 Found\r\nLocation: ://%zz" + a.URL.String() + "\r\nConnection: close\r\n\r\n"
		}),
		"time-out": {
			serve: func(conn net.Conn, _ asked) { _, _ = conn.Read(make([]byte, 1)) },
			opts:  []proxylite.Option{proxylite.WithAttemptTimeout(10 * time.Millisecond), once},
		},
		"cancelled": {
			serve: func(net.Conn, asked) {},
			ctx: func(ctx context.Context) context.Context {
				ctx, cancel := context.WithCancelCause(ctx)
				cancel(cancelled)
				return ctx
			},
		},
		"panic in a middleware": {serve: func(net.Conn, asked) {}, opts: []proxylite.Option{proxylite.WithMiddleware(panics)}},
		"panic in the observer": {
			serve: func(net.Conn, asked) {},
			opts:  []proxylite.Option{proxylite.WithObserver(apitest.AtEnd(func(_ context.Context, info proxylite.CallInfo) { panic(info) }))},
		},
		"panic in the transport": {target: func(*testing.T) (string, http.RoundTripper) {
			return "http://127.0.0.1:1", apitest.RoundTripper(func(*http.Request) (*http.Response, error) { panic("transport") })
		}},
		"URL in the error of a transport": {target: func(*testing.T) (string, http.RoundTripper) {
			return "http://127.0.0.1:1", apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				return nil, fmt.Errorf("gateway: %w", &url.Error{Op: "Get", URL: r.URL.String() + r.Header.Get("Authorization"), Err: io.ErrUnexpectedEOF})
			})
		}},
		"panic below": {target: func(*testing.T) (string, http.RoundTripper) {
			tr := proxylite.NewTransport()
			tr.Proxy = func(r *http.Request) (*url.URL, error) { panic(r.URL.Host) }
			return "http://127.0.0.1:1", tr
		}},
		"HTTP/2": {target: http2Server(func(t *testing.T, w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, success(t, r)) })},
		"HTTP/2, redirect": {target: http2Server(func(_ *testing.T, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
		})},
		"HTTP/2, stream reset":   {target: http2Server(func(*testing.T, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })},
		"proxy":                  {target: throughProxy(http.StatusOK, "")},
		"proxy, login refused":   {target: throughProxy(http.StatusProxyAuthRequired, "")},
		"proxy, request refused": {target: throughProxy(509, "OK")},
		"proxy, dial refused": {target: func(*testing.T) (string, http.RoundTripper) {
			return "https://127.0.0.1:2", viaProxy("http", "127.0.0.1:1")
		}},
		"proxy, no TLS": {target: func(t *testing.T) (string, http.RoundTripper) {
			return "https://127.0.0.1:2", viaProxy("https", listen(t, func(net.Conn, asked) {}))
		}},
		"SOCKS5, login refused": {target: func(t *testing.T) (string, http.RoundTripper) {
			return "https://127.0.0.1:2", viaProxy("socks5", socksThatRefuses(t))
		}},
	}
	return all
}

func viaProxy(scheme, addr string) *http.Transport {
	tr := proxylite.NewTransport()
	tr.Proxy = http.ProxyURL(&url.URL{Scheme: scheme, Host: addr, User: url.UserPassword(canaryLogin, canaryProxy)})
	return tr
}

func http2Server(serve func(*testing.T, http.ResponseWriter, *http.Request)) func(*testing.T) (string, http.RoundTripper) {
	return func(t *testing.T) (string, http.RoundTripper) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(t, w, r) }))
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		tr := proxylite.NewTransport()
		tr.TLSClientConfig = trusting(server)
		return server.URL, tr
	}
}

func trusting(server *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return &tls.Config{RootCAs: pool}
}

// throughProxy is an API behind an HTTP proxy that wants a login.
func throughProxy(status int, reason string) func(*testing.T) (string, http.RoundTripper) {
	return func(t *testing.T) (string, http.RoundTripper) {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, success(t, r)) }))
		t.Cleanup(server.Close)
		tr := viaProxy("http", listen(t, func(conn net.Conn, a asked) {
			login, ok := strings.CutPrefix(a.Header.Get("Proxy-Authorization"), "Basic ")
			plain, _ := base64.StdEncoding.DecodeString(login)
			if !ok || string(plain) != canaryLogin+":"+canaryProxy {
				t.Errorf("no login at the proxy: %q", a.text)
			}
			if status != http.StatusOK {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\n\r\n", status, reason)
				return
			}
			to, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				return
			}
			defer func() { _ = to.Close() }()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { _, _ = io.Copy(to, conn); _ = to.Close() }()
			_, _ = io.Copy(conn, to)
		}))
		tr.TLSClientConfig = trusting(server)
		return server.URL, tr
	}
}

// socksThatRefuses asks for a login and says no.
func socksThatRefuses(t *testing.T) string {
	return apitest.Listen(t, func(conn net.Conn) {
		buf := make([]byte, 600)
		_, _ = conn.Read(buf)
		_, _ = conn.Write([]byte{5, 2})
		n, _ := conn.Read(buf)
		if !bytes.Contains(buf[:n], []byte(canaryProxy)) {
			t.Error("no login at the SOCKS5 proxy")
		}
		_, _ = conn.Write([]byte{1, 1})
	})
}

// Invariant 1. A recognisable app_key, token, account password and proxy login go
// through every operation, in success and in every fault, with all that watches a
// call switched on. Then everything that came out is searched for them, in every
// form.
func TestCanary(t *testing.T) {
	t.Parallel()
	for name, f := range troubles(t) {
		for kind, credential := range map[string]proxylite.Credential{
			"key": proxylite.AppKey(canaryKey),
			"token": proxylite.TokenFrom(func(context.Context) (proxylite.Token, error) {
				return proxylite.NewToken(canaryToken, time.Time{}), nil
			}),
		} {
			// A client without a middleware has less between the call and the wire.
			for layers, bare := range map[string]bool{"": false, ", no middleware": true} {
				t.Run(name+"/"+kind+layers, func(t *testing.T) {
					t.Parallel()
					var base string
					var tr http.RoundTripper = proxylite.NewTransport()
					if f.target != nil {
						base, tr = f.target(t)
					} else {
						base = "http://" + listen(t, f.serve)
					}
					var out spill
					c := watched(t, &out, credential, base, tr, f, bare)
					for _, op := range canaryOperations() {
						release(t, &out, c, op, f)
						out.leak(t, op.Name)
					}
					if idle, ok := tr.(*http.Transport); ok {
						idle.CloseIdleConnections()
					}
					if f.after != nil {
						f.after(t)
					}
				})
			}
		}
	}
}

// watched is a client with all that watches a call switched on.
func watched(t *testing.T, out *spill, credential proxylite.Credential, base string, tr http.RoundTripper, f trouble, bare bool) *proxylite.Client {
	opts := []proxylite.Option{
		proxylite.WithTransport(tr), proxylite.WithBaseURL(base),
		proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 2, MinBackoff: 1, MaxBackoff: 1}),
		proxylite.WithLogger(slog.New(slog.NewMultiHandler(
			slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}),
			slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})))),
		proxylite.WithObserver(apitest.AtEnd(func(ctx context.Context, info proxylite.CallInfo) { out.show(ctx, info) })),
	}
	if !bare {
		opts = append(opts, proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				body := apitest.BodyOf(t, r)
				out.carry([]byte(body))
				if body != "" {
					r.Body = io.NopCloser(apitest.ReaderFunc(strings.NewReader(body).Read))
				}
				resp, err := next.RoundTrip(r)
				out.show(r, *r.URL, r.URL.String(), r.Header, r.Context(), r.GetBody == nil, err)
				if resp != nil {
					resp.Body = showingErrors(resp.Body, out)
					out.show(resp, resp.Header, resp.Request, *resp.Request.URL, resp.Request.Header)
				}
				return resp, err
			})
		}))
	}
	opts = append(opts, f.opts...)
	c, err := proxylite.NewClient(credential, opts...)
	require.NoError(t, err)
	out.show(credential, c, *c, c.Accounts, *c.Accounts, proxylite.NewToken(canaryToken, time.Time{}))
	for _, opt := range opts {
		out.show(opt)
	}
	return c
}

// release makes one call and keeps everything that comes out of it.
func release(t *testing.T, out *spill, c *proxylite.Client, op apitest.Operation, f trouble) {
	defer func() {
		if p := recover(); p != nil {
			out.show(p, string(debug.Stack()))
		}
	}()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GetConn:              func(hostPort string) { out.show(hostPort) },
		WroteHeaderField:     func(name string, value []string) { out.show(name, value) },
		Got1xxResponse:       func(code int, header textproto.MIMEHeader) error { out.show(code, header); return nil },
		WroteRequest:         func(info httptrace.WroteRequestInfo) { out.show(info) },
		ConnectDone:          func(_, addr string, err error) { out.show(addr, err) },
		TLSHandshakeDone:     func(_ tls.ConnectionState, err error) { out.show(err) },
		PutIdleConn:          func(err error) { out.show(err) },
		GotConn:              func(info httptrace.GotConnInfo) { out.show(info.Conn.RemoteAddr().String()) },
		GotFirstResponseByte: func() {},
	})
	if f.ctx != nil {
		ctx = f.ctx(ctx)
	}
	var raw proxylite.RawResponse
	value, err := op.Call(ctx, c, proxylite.CallRaw(&raw), proxylite.CallQuery("language", "en"))

	out.show(value, raw.Status, raw.Header, err, c, *c)
	out.carry(raw)
	out.carry(raw.Body)
	if err != nil {
		e := apitest.AsError(t, err)
		out.show(e.Operation, e.Route, e.Kind, e.Message, string(e.Details), e.Header, e.Explanation())
		out.carry(e.Body)
		_, leaky := errors.AsType[*url.Error](err)
		require.False(t, leaky, "the chain must hold no *url.Error")
	}
}

// showingErrors is a body as instrumentation wraps it.
func showingErrors(body io.ReadCloser, out *spill) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{apitest.ReaderFunc(func(p []byte) (int, error) {
		n, err := body.Read(p)
		if err != nil {
			out.show(err)
		}
		return n, err
	}), body}
}
