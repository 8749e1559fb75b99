package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Repeatable marks requests with this context as fit to be sent twice, whatever
// their method: the target is to know them again, or not to care.
func Repeatable(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatableKey{}, true)
}

// Transport returns what makes an http.Client go through the pool. It waits for a
// proxy as [Pool.Get] does, and takes proxies that fail out.
//
// A request goes on through another proxy, up to [WithAttempts], as long as no byte
// of it was sent; when it may have been sent only if it is a GET, HEAD, OPTIONS or
// TRACE, or marked with [Repeatable]. Either way its body must be nil or have a
// GetBody, as http.NewRequest gives it. Other requests are never sent twice, not
// by net/http either, and have a connection of their own: on a kept one that has
// just been closed nobody could say whether they were sent. A request that fails in the end has an [*Error].
//
// Each proxy has an http.Transport of its own, so a kept connection never leads
// through another proxy than the one that was picked.
func (p *Pool) Transport() http.RoundTripper { return roundTripper{p} }

type roundTripper struct{ *Pool }

func (p roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		closeBody(req.Body)
		return nil, errors.New("pool: the request has no URL")
	}
	ctx, body := req.Context(), req.Body
	q := query{host: strings.ToLower(req.URL.Hostname()), session: sessionOf(ctx)}
	keep := p.rotation != PerRequest || q.session != ""
	sent := false
	var failed *Error
	for attempt := 1; ; attempt++ {
		l, err := p.lease(ctx, q)
		if err != nil {
			closeBody(body)
			if failed != nil {
				failed.Err = fmt.Errorf("%w; then %w", failed.Err, err)
				return nil, failed
			}
			return nil, err
		}
		l.auto = true
		resp, verdict, failure := l.try(req, body, keep)
		if failure == nil {
			sent = true
			if verdict != Worked {
				l.reported = true
				l.report(verdict, nil)
			}
			if verdict == Worked || attempt >= p.attempts || !replayable(req) || !repeatable(req) {
				return resp, nil
			}
			closeBody(resp.Body)
			failed = &Error{l.String(), attempt, sent, fmt.Errorf("status %d was judged: %s", resp.StatusCode, verdict)}
		} else {
			sent = sent || failure.sent
			failed = &Error{l.String(), attempt, sent, failure.err}
			l.finish(verdict, failure.err)
		}
		if ctx.Err() != nil || attempt >= p.attempts || !replayable(req) || sent && !repeatable(req) {
			return nil, failed
		}
		if body = req.Body; req.GetBody != nil {
			if body, err = req.GetBody(); err != nil {
				return nil, failed
			}
		}
		p.counters.retries.Add(1)
	}
}

func replayable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

func repeatable(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return req.Context().Value(repeatableKey{}) != nil
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}

// failure is why a try gave no answer.
type failure struct {
	err  error
	sent bool // a byte of the request may have left
}

// try sends the request through the leased proxy, once.
func (l *Lease) try(req *http.Request, body io.ReadCloser, keep bool) (*http.Response, Verdict, *failure) {
	p := l.pool
	ctx, cancel := context.WithCancelCause(req.Context())
	patience, late := p.patience(l.a)
	clock := time.AfterFunc(patience, func() { cancel(late) })
	var sent atomic.Bool
	var handshake atomic.Bool
	out := req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:           func(httptrace.GotConnInfo) { clock.Stop(); sent.Store(true) },
		TLSHandshakeStart: func() { handshake.Store(true) },
	}))
	out.Body = body
	if !repeatable(req) {
		// On a kept connection that the other side has just closed, nobody could say
		// whether it was sent.
		keep = false
		// net/http must not send it again either: over HTTP/2, or with an
		// Idempotency-Key, it would, if it could rewind the body.
		if out.GetBody = nil; body == nil || body == http.NoBody {
			out.Body = io.NopCloser(strings.NewReader(""))
		}
	}
	resp, err := p.transport(l.a, keep).RoundTrip(out)
	clock.Stop()
	direct := req.URL.Scheme == "http" && !strings.HasPrefix(p.scheme, "socks5") // no tunnel: the proxy reads the request
	if err == nil {
		resp.Request = req
		// Without a tunnel the proxy's refusals look like answers. 407 is never a
		// target's, and "509 OK" is how the gateway writes it. Others may be.
		if direct && (resp.StatusCode == http.StatusProxyAuthRequired || resp.Status == "509 OK") {
			err = refused(l.a.url, resp)
			closeBody(resp.Body)
		}
	}
	if err != nil {
		cancel(nil)
		if context.Cause(ctx) == late && req.Context().Err() == nil {
			err = late
		}
		err = socksRefusal(l.String(), err)
		return nil, judge(req.Context(), err, handshake.Load() || sent.Load() && !direct), &failure{err, sent.Load()}
	}
	verdict := Worked
	if l.auto && p.judge != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		verdict = p.judgeAnswer(resp)
	}
	l.watch(resp, func(err error) {
		cancel(nil)
		if l.auto {
			v := Worked
			if err != nil {
				v = judge(req.Context(), err, !direct)
			}
			l.finish(v, err)
		}
	})
	return resp, verdict, nil
}

// judgeAnswer asks the user, and puts back what was read of the body.
func (p *Pool) judgeAnswer(resp *http.Response) Verdict {
	var read bytes.Buffer
	body := resp.Body
	resp.Body = io.NopCloser(io.TeeReader(body, &read))
	verdict := p.judge(resp)
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&read, body), body}
	if verdict == Unjudged {
		return Worked
	}
	return verdict
}

// watch calls end once, when the body has ended: with an error if it was cut.
func (l *Lease) watch(resp *http.Response, end func(error)) {
	if resp.Body == http.NoBody {
		end(nil)
		return
	}
	b := &watchedBody{ReadCloser: resp.Body, end: end}
	resp.Body = b
	if w, ok := b.ReadCloser.(io.Writer); ok { // of 101 Switching Protocols
		resp.Body = struct {
			*watchedBody
			io.Writer
		}{b, w}
	}
}

type watchedBody struct {
	io.ReadCloser
	once sync.Once
	end  func(error)
}

func (b *watchedBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	switch err {
	case nil:
	case io.EOF:
		b.once.Do(func() { b.end(nil) })
	default:
		b.once.Do(func() { b.end(err) })
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { b.end(nil) })
	return err
}

// transport returns the address's own, with keep-alive or without.
func (p *Pool) transport(a *address, keep bool) *http.Transport {
	slot := &a.fresh
	if keep {
		slot = &a.kept
	}
	if t := slot.Load(); t != nil {
		return t
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := slot.Load(); t != nil {
		return t
	}
	t := p.template.Clone()
	t.Proxy = http.ProxyURL(a.url)
	t.DialContext = a.dial
	t.DisableKeepAlives = !keep
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		return refused(a.url, resp)
	}
	slot.Store(t)
	return t
}

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
	if password, _ := proxy.User.Password(); password != "" { // should the proxy echo it
		hide := strings.NewReplacer(password, "redacted", proxy.User.Username(), "redacted")
		e.Reason, e.Body = hide.Replace(e.Reason), hide.Replace(e.Body)
	}
	return e
}

// Proxy is for http.Transport.Proxy, where a library makes its own transport. It
// returns another URL each time, with the login, or an error: never nil, which
// would mean a direct connection.
//
// Beware: an http.Transport asks it for each request, but keeps a tunnel for each
// URL it ever got and uses it again, over HTTP/2 even for many requests at once.
// For a new proxy with each request set DisableKeepAlives; to have proxies that
// refuse taken out, set [Pool.OnProxyConnectResponse] too. Nothing else of what
// becomes of the request is known here. Prefer [Pool.Transport].
func (p *Pool) Proxy(req *http.Request) (*url.URL, error) {
	ctx := req.Context()
	l, err := p.lease(ctx, query{host: strings.ToLower(req.URL.Hostname()), session: sessionOf(ctx)})
	if err != nil {
		return nil, err
	}
	l.a.release() // its end will not be seen
	u := *l.a.url
	return &u, nil
}

// OnProxyConnectResponse is for the field of this name of an http.Transport that
// uses [Pool.Proxy]: it turns a refusal into a [*ConnectError] and tells the pool.
func (p *Pool) OnProxyConnectResponse(_ context.Context, proxy *url.URL, connect *http.Request, resp *http.Response) error {
	for _, a := range p.live.Load().proxies {
		if a.url.Host != proxy.Host || a.url.User.String() != proxy.User.String() {
			continue
		}
		host, _, _ := net.SplitHostPort(connect.Host)
		l := &Lease{pool: p, a: a, host: strings.ToLower(host), start: time.Now().UnixNano()}
		if resp.StatusCode == http.StatusOK {
			l.report(Worked, nil)
			return nil
		}
		err := refused(proxy, resp)
		l.report(err.verdict(), err)
		return err
	}
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return refused(proxy, resp)
}
