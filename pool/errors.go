package pool

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go/internal/redact"
)

// The errors to branch on, with errors.Is.
var (
	// ErrNoProxy: no proxy can be used now: with [WithFailFast], at once; else
	// when the context ended while waiting. What kept the pool empty is beside it.
	ErrNoProxy = errors.New("no proxy to use")
	// ErrClosed: the pool is closed.
	ErrClosed = errors.New("pool is closed")
	// ErrStopped: the pool fetches no more, as what it was told can't be cured by
	// calling again. The reason is beside it; [Pool.Resume] goes on.
	ErrStopped = errors.New("pool has stopped fetching")
	// ErrQuota: the ceiling of [WithQuota] is reached.
	ErrQuota = errors.New("quota of the pool is spent")
	// ErrExhausted is for a source of your own: an error that wraps it says that
	// there is no balance left, and stops the pool.
	ErrExhausted = errors.New("balance or plan is exhausted")
	// ErrByteBudget: the bytes of [WithByteBudget] are spent; [Pool.Resume] goes on.
	ErrByteBudget = errors.New("byte budget of the pool is spent")
	// ErrSessionLost: the proxy of a session with [StayOrFail] is gone.
	ErrSessionLost = errors.New("the session's proxy is gone: end the session to begin anew")
	// ErrExpired: the lease's proxy has reached the end of its life, or the lease
	// is done.
	ErrExpired = errors.New("proxy has expired or the lease is done: get another lease")

	// ErrProxyAuth: the proxy refused the login (407; some proxies say 401).
	// Check account and password, or that the caller's IP is on the allow list.
	ErrProxyAuth = errors.New("proxy refused the login")
	// ErrProxyDead: the gateway says that the proxy is gone (509).
	ErrProxyDead = errors.New("proxy is dead or its life is over")
	// ErrNotAllowed: the gateway does not let the caller's IP in, or has no
	// stock (512; it does not say which). Add the IP to the allow list, or wait.
	ErrNotAllowed = errors.New("source IP not on the allow list, or no stock")
	// ErrProxyTLS: the gateway has trouble with TLS (495).
	ErrProxyTLS = errors.New("TLS trouble at the proxy")

	// ErrConnectTimeout: no connection through the proxy within [WithConnectTimeout].
	ErrConnectTimeout error = timeoutError{}
)

type timeoutError struct{}

func (timeoutError) Error() string { return "no connection through the proxy in time" }
func (timeoutError) Timeout() bool { return true }

// ConnectError is a proxy's refusal to connect to the target. Without it, all that
// net/http says of one is its reason phrase, such as "OK".
type ConnectError struct {
	Proxy  string // host:port
	Status int    // of the response to CONNECT; 0 for SOCKS5
	Reason string // the reason phrase, or what the SOCKS5 proxy replied
	Body   string // the beginning of the response, without the login

	kind error
}

var refusals = map[int]error{401: ErrProxyAuth, 407: ErrProxyAuth, 495: ErrProxyTLS, 509: ErrProxyDead, 512: ErrNotAllowed}

// Error returns one line: proxy, response, and what to do.
func (e *ConnectError) Error() string {
	s := "proxy " + e.Proxy + " refused to connect"
	if e.Status != 0 {
		s += ": status " + strconv.Itoa(e.Status)
	}
	if e.Reason != "" {
		s += fmt.Sprintf(" (%q)", e.Reason)
	}
	switch e.kind {
	case nil:
		if line, _, _ := strings.Cut(strings.TrimSpace(e.Body), "\n"); line != "" {
			s += fmt.Sprintf(": %.200q", line)
		}
		return s
	case ErrProxyAuth:
		return s + ": " + e.kind.Error() + ": check account and password, or that the caller's IP is on the allow list"
	default:
		return s + ": " + e.kind.Error()
	}
}

// Unwrap returns ErrProxyAuth, ErrProxyDead, ErrNotAllowed, ErrProxyTLS or nil.
func (e *ConnectError) Unwrap() error { return e.kind }

// refused reads a proxy's refusal.
func refused(proxy *url.URL, resp *http.Response) *ConnectError {
	_, reason, _ := strings.Cut(resp.Status, " ")
	e := &ConnectError{Proxy: proxy.Host, Status: resp.StatusCode, Reason: reason, kind: refusals[resp.StatusCode]}
	body := make(chan []byte, 1)
	go func() { // ends at the latest when the connection is closed
		// One read gets what came with the header. Some proxies (tinyproxy) do not
		// hang up by themselves, so the end of the body is not waited for.
		b := make([]byte, 512)
		n, _ := io.ReadAtLeast(resp.Body, b, 1)
		body <- b[:n]
	}()
	patience := time.NewTimer(200 * time.Millisecond)
	defer patience.Stop()
	select {
	case b := <-body:
		e.Body = string(b)
	case <-patience.C:
	}
	hide, _ := hideLogin(proxy.User)
	e.Reason, e.Body = hide(e.Reason), hide(e.Body)
	return e
}

// hideLogin returns what hides the login that a proxy may echo. A part of fewer than
// six letters is hidden only as it stands, and one of one or two letters only beside
// the rest of the login: it would garble texts and can't be kept a secret anyway.
func hideLogin(login *url.Userinfo) (text func(string) string, set *redact.Set) {
	user := login.Username()
	password, _ := login.Password()
	pair := user + ":" + password
	if login == nil || pair == ":" {
		return func(s string) string { return s }, nil
	}
	set = redact.New(pair, password, user)
	var short []string
	for _, part := range []string{pair, base64.StdEncoding.EncodeToString([]byte(pair)), login.String(), password, user} {
		if len(part) >= 3 && len(part) < redact.Shortest || len(pair) < redact.Shortest && strings.Contains(part, pair) {
			short = append(short, part, redact.Redacted)
		}
	}
	replacer := strings.NewReplacer(short...)
	return func(s string) string { return set.Text(replacer.Replace(s)) }, set
}

// Error is a request that failed, after what the pool tried.
type Error struct {
	Proxy    string // host:port of the last one
	Attempts int    // proxies that were tried
	// Sent is false when no byte of the request left, in any attempt, so that it
	// had no effect. True means that it may have reached the target.
	Sent bool
	Err  error
}

// Error returns one line, without any login.
func (e *Error) Error() string {
	s := "pool: through " + e.Proxy
	if e.Attempts > 1 {
		s += fmt.Sprintf(" (attempt %d)", e.Attempts)
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether a clock ended the request, as [net.Error] does.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Temporary is there so that Error is a [net.Error]; it is always false.
func (e *Error) Temporary() bool { return false }
