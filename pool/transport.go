package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/clock"
)

type repeatableKey struct{}

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
// GetBody, as http.NewRequest gives it. Other requests are never sent twice, not by
// net/http either: each has an HTTP/1.1 connection of its own, as nobody could say
// whether it was sent on a kept one that has just been closed. A request that fails
// in the end, and a body that is cut, have an [*Error]. [ViaOf] tells which proxy a
// response came through.
//
// Each proxy has an http.Transport of its own, so a kept connection never leads
// through another proxy than the one that was picked.
func (p *Pool) Transport() http.RoundTripper { return roundTripper{p} }

type roundTripper struct{ *Pool }

// CloseIdleConnections closes the connections of all proxies that no request uses.
func (p roundTripper) CloseIdleConnections() {
	for _, a := range p.live.Load().proxies {
		a.closeIdle()
	}
}

func (p roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	body := req.Body
	if err := checkRequest(req); err != nil {
		closeBody(body)
		return nil, err
	}
	q := newQuery(req.Context(), targetOfURL(req.URL))
	k := keep
	if p.rotation == PerRequest && q.session == nil {
		k = fresh
	}
	l, err := p.lease(req.Context(), q)
	if err != nil {
		closeBody(body)
		return nil, err
	}
	r := &run{Pool: p.Pool, req: req, q: q, keeping: keepFor(req, k)}
	for {
		resp, err := r.try(l, body)
		if l = r.next; l == nil {
			return resp, err
		}
		if body = req.Body; req.GetBody != nil {
			if body, err = req.GetBody(); err != nil {
				l.Done(Unjudged)
				return nil, r.failed
			}
		}
		p.counters.retries.Add(1)
	}
}

// run is a request over all its attempts.
type run struct {
	*Pool
	req      *http.Request
	q        query
	keeping  keeping
	attempts int
	sent     bool // a byte of it may have left
	next     *Lease
	failed   *Error
	banned   []*Lease // judged unfit for the host, which the next ones may disprove
}

// try makes one attempt. If there is to be another one, next is its lease.
func (r *run) try(l *Lease, body io.ReadCloser) (*http.Response, error) {
	r.next = nil
	r.attempts++
	l.auto = true
	u := l.use(r.req, r.keeping)
	u.trial = r.attempts == 1 && repeatable(r.req) && r.Pool.attempts > 1
	resp, err := u.send(r.req, body)
	r.sent = r.sent || u.sent.Load()
	if err == nil {
		if resp = r.judged(l, resp); resp == nil {
			u.end(finding{})
			return nil, r.failed
		}
		u.watch(resp)
		return resp, nil
	}
	r.failed = &Error{l.String(), r.attempts, r.sent, l.hide(err)}
	l.finish(u.finding(err))
	if ended(r.req) != nil || !r.again() {
		return nil, r.failed
	}
	if r.next, err = r.lease(r.req.Context(), r.q); err != nil {
		r.failed.Err = fmt.Errorf("%w; then %w", r.failed.Err, err)
	}
	return nil, r.failed
}

// again tells that there may be another attempt.
func (r *run) again() bool {
	return r.attempts < r.Pool.attempts && replayable(r.req) && (!r.sent || repeatable(r.req))
}

// judged asks the judges, and returns the response, or nil if another proxy is free to
// get a better one.
func (r *run) judged(l *Lease, resp *http.Response) *http.Response {
	r.sent = true
	f := finding{verdict: Worked}
	if len(r.judges) > 0 && resp.StatusCode != http.StatusSwitchingProtocols {
		f = r.judgement(resp)
	}
	if f.verdict == Worked {
		for _, b := range r.banned { // it was not the page
			r.mu.Lock()
			r.ban(b.a, b.target.host, finding{}, r.now())
			r.unlock()
		}
		return resp
	}
	mayRepeat := r.again()
	f.unproven = r.Pool.attempts > 1 && replayable(r.req) && repeatable(r.req)
	l.reported = true
	l.report(f)
	if f.verdict == FailedForHost && f.unproven && !f.slow && !r.source.Rotating {
		r.banned = append(r.banned, l)
	}
	if !mayRepeat {
		return resp
	}
	next, err := r.pick(r.now(), r.q)
	if next == nil || err != nil {
		return resp // no other one is free, and this is better than nothing
	}
	r.next = next
	r.failed = &Error{l.String(), r.attempts, true, fmt.Errorf("status %d was judged: %s", resp.StatusCode, f.verdict)}
	closeBody(resp.Body)
	return nil
}

// judgement asks the judges, and puts back what they read of the body.
func (p *Pool) judgement(resp *http.Response) finding {
	f := finding{verdict: Worked, class: byJudge}
	for _, judge := range p.judges {
		var read bytes.Buffer
		body := resp.Body
		resp.Body = io.NopCloser(io.TeeReader(body, &read))
		v := judge(resp)
		resp.Body = &rereadBody{io.MultiReader(&read, body), body}
		if f.verdict == Worked && v != Unjudged {
			f.verdict = v
		}
	}
	if f.verdict == FailedForHost && resp.StatusCode == http.StatusTooManyRequests {
		f.slow, f.retryAfter = true, p.retryAfter(resp)
	}
	return f
}

type rereadBody struct {
	io.Reader
	io.Closer
}

// retryAfter reads the header, up to an hour.
func (p *Pool) retryAfter(resp *http.Response) time.Duration {
	s := resp.Header.Get("Retry-After")
	if n, err := strconv.ParseUint(s, 10, 32); err == nil || errors.Is(err, strconv.ErrRange) {
		return min(time.Hour, time.Duration(n)*time.Second)
	}
	if t, err := http.ParseTime(s); err == nil {
		return min(time.Hour, max(0, time.Until(t)))
	}
	return 0
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

// keepFor is k, but for what must not be sent twice.
func keepFor(req *http.Request, k keeping) keeping {
	if !repeatable(req) {
		return once
	}
	return k
}

// ended returns why the caller has given the request up, or nil. An http.Client with a
// Timeout closes Cancel, which may be seen before the context's deadline is.
func ended(req *http.Request) error {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-req.Cancel: //nolint:staticcheck // callers may set it, and http.Client does
		if at, ok := ctx.Deadline(); ok && time.Until(at) <= 0 {
			return context.DeadlineExceeded
		}
		return context.Canceled
	default:
		return nil
	}
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}

type useKey struct{}

// use is one attempt of a request through one proxy. It is the request's context, with
// what net/http tells of the way to the proxy: to make a context that can be canceled
// costs five allocations more, so what a use has dialed is given up by itself.
type use struct {
	context.Context
	l       *Lease
	req     *http.Request
	keeping keeping
	plain   bool // no tunnel: the proxy reads the request
	trial   bool // the proxy may be given up for another one
	via     Via

	trace  httptrace.ClientTrace
	sent   atomic.Bool  // a byte of the request may have left
	dialed atomic.Bool  // the proxy was reached
	begun  atomic.Bool  // dialing
	tunnel atomic.Bool  // the proxy has made one
	sentAt atomic.Int64 // clock.Instant
	over   atomic.Bool  // send has returned

	responded bool // the response has begun

	mu       sync.Mutex
	served   bool        // there is a response: what is still being dialed is for the next requests
	late     error       // connecting took too long
	dials    []*dialing  // that may be given up
	patience *time.Timer // with a proxy that says nothing
}

func (l *Lease) use(req *http.Request, k keeping) *use {
	u := &use{Context: req.Context(), l: l, req: req, keeping: k}
	u.plain = req.URL.Scheme == "http" && !strings.HasPrefix(l.pool.scheme, "socks5")
	return u
}

// traceKey is the key of a context's trace, which net/http/httptrace does not export.
var traceKey = func() any {
	var c keyCatcher
	httptrace.ContextClientTrace(&c)
	return c.key
}()

type keyCatcher struct {
	context.Context
	key any
}

func (c *keyCatcher) Value(key any) any {
	c.key = key
	return nil
}

func (u *use) Value(key any) any {
	switch {
	case key == (useKey{}):
		return u
	case key == (viaKey{}):
		return &u.via
	case key == traceKey && !u.over.Load():
		return &u.trace
	}
	return u.Context.Value(key)
}

// dialing is a connection to a proxy that is being made for a use.
type dialing struct {
	u      *use
	cancel context.CancelFunc
	timer  *time.Timer
	stop   func() bool // looking at the request's context

	mu   sync.Mutex
	conn *conn // once the proxy is reached
	done bool
}

// begin starts the timeout of connecting, so that waiting for a turn does not count.
func (u *use) begin(ctx context.Context) (context.Context, *dialing) {
	u.begun.Store(true)
	d := &dialing{u: u, stop: func() bool { return false }}
	ctx, d.cancel = context.WithCancel(ctx)
	patience, late := u.l.pool.patience(u.l.a)
	d.mu.Lock() // until all is there
	d.timer = time.AfterFunc(patience, func() {
		u.mu.Lock()
		if !u.over.Load() && u.late == nil {
			u.late = late
		}
		u.mu.Unlock()
		d.giveUp()
	})
	u.mu.Lock()
	if !u.served {
		d.stop = context.AfterFunc(u.Context, d.giveUp)
		u.dials = append(u.dials, d)
	}
	u.mu.Unlock()
	d.mu.Unlock()
	return ctx, d
}

// giveUp closes what no request has got.
func (d *dialing) giveUp() {
	if c, done := d.end(); c != nil && !done && !c.taken.Load() {
		_ = c.Close()
	}
}

// reached returns false if it was given up meanwhile.
func (d *dialing) reached(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn = c
	return !d.done
}

// end ends the timeout. It returns the connection, and whether it had ended before.
func (d *dialing) end() (c *conn, done bool) {
	d.mu.Lock()
	c, done = d.conn, d.done
	d.done = true
	d.mu.Unlock()
	d.cancel()
	d.timer.Stop()
	d.stop()
	return c, done
}

// patience returns how long connecting may take, and the error when it takes longer.
func (p *Pool) patience(a *address) (time.Duration, error) {
	if left := a.expiresAt().Sub(p.now().wall); left < p.connecting {
		return left, ErrExpired
	}
	return p.connecting, ErrConnectTimeout
}

// gotConn is called when the request has a connection.
func (u *use) gotConn(info httptrace.GotConnInfo) {
	p := u.l.pool
	c := connOf(info.Conn)
	if c != nil {
		if !c.taken.Swap(true) && c.dialing != nil {
			c.dialing.end()
		}
		c.payFor(u.l)
	}
	u.sentAt.Store(int64(p.now().mono))
	u.sent.Store(true)
	if u.trial && u.plain && c != nil && u.l.a.worked.Load() == 0 && !p.source.Rotating && len(p.live.Load().proxies) > 1 {
		u.mu.Lock()
		u.patience = time.AfterFunc(p.connecting, func() { // nothing else would tell that it is silent
			u.mu.Lock()
			u.late = ErrConnectTimeout
			u.mu.Unlock()
			_ = c.Close()
		})
		u.mu.Unlock()
	}
}

// send sends the request through the leased proxy, once.
func (u *use) send(req *http.Request, body io.ReadCloser) (*http.Response, error) { //nolint:cyclop // the steps of one use, in order
	l := u.l
	if parent := httptrace.ContextClientTrace(u.Context); parent != nil {
		u.Context = httptrace.WithClientTrace(u.Context, &httptrace.ClientTrace{GotConn: u.gotConn}) // both
		u.trace = *httptrace.ContextClientTrace(u.Context)
	} else {
		u.trace.GotConn = u.gotConn
	}
	out := req.WithContext(u)
	out.Body = body
	if body != nil && body != http.NoBody {
		out.Body = markedBody{body}
	}
	resp, err := l.a.transport(u.keeping).RoundTrip(out)
	u.over.Store(true)
	took := l.pool.now().mono.Sub(l.start)
	u.mu.Lock()
	u.served = err == nil
	late, dials := u.late, u.dials
	if u.patience != nil {
		u.patience.Stop()
	}
	u.mu.Unlock()
	if err == nil && u.plain && (resp.StatusCode == http.StatusProxyAuthRequired || resp.Status == "509 OK") {
		// Without a tunnel the proxy's refusals look like responses. 407 is never a
		// target's, and "509 OK" is how the gateway writes it. Others may be.
		err = refused(l.a.url, resp)
		closeBody(resp.Body)
	}
	if err != nil {
		for _, d := range dials {
			d.giveUp()
		}
		if late != nil && req.Context().Err() == nil {
			if err = late; !u.dialed.Load() && late == ErrConnectTimeout {
				err = &dialError{err}
			}
		}
		return nil, socksRefusal(l.String(), err)
	}
	for _, d := range dials { // net/http keeps for the next requests what this one did not need
		d.stop()
	}
	u.responded = true
	l.a.took(took)
	u.via = Via{Proxy: l.String(), Session: l.session.name(), Took: took, lease: l}
	if l.moved != nil && l.session != nil {
		u.via.Moved = l.moved.String()
	}
	out.Body, resp.Request = req.Body, out
	return resp, nil
}

// finding judges an error of send, or of reading the response.
func (u *use) finding(err error) finding {
	why := ended(u.req)
	s := situation{
		err: err, plain: u.plain, reached: u.dialed.Load() || u.sent.Load(),
		canceled: errors.Is(why, context.Canceled), late: errors.Is(why, context.DeadlineExceeded),
		idle:   !u.begun.Load() && !u.sent.Load(),
		tunnel: u.sent.Load() || u.tunnel.Load() || strings.HasPrefix(u.l.pool.scheme, "socks5") && !isSOCKS(err),
	}
	if s.late {
		p := u.l.pool
		if now := p.now().mono; u.sent.Load() {
			s.silent = !u.responded && now.Sub(clock.Instant(u.sentAt.Load())) >= p.connecting
		} else {
			s.slow = now.Sub(u.l.start) >= p.connecting/3
		}
	}
	return judge(s)
}

// watch ends the use when the body has ended.
func (u *use) watch(resp *http.Response) {
	f := finding{verdict: Worked}
	if u.plain && ambiguous(resp.StatusCode) {
		f = finding{verdict: Unjudged, class: byTarget}
	}
	if resp.Body == http.NoBody {
		u.end(f)
		return
	}
	b := &watchedBody{ReadCloser: resp.Body, u: u, f: f}
	resp.Body = b
	if w, ok := b.ReadCloser.(io.Writer); ok { // of 101 Switching Protocols
		resp.Body = struct {
			*watchedBody
			io.Writer
		}{b, w}
	}
}

func (u *use) end(f finding) {
	if u.l.auto {
		u.l.finish(f)
	}
}

// watchedBody is the body of a response.
type watchedBody struct {
	io.ReadCloser
	u    *use
	f    finding // if nothing goes wrong
	done atomic.Bool
}

func (b *watchedBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	switch {
	case err == nil:
	case err == io.EOF:
		if !b.done.Swap(true) {
			b.u.end(b.f)
		}
	default:
		f := b.u.finding(err)
		err = &Error{Proxy: b.u.l.String(), Attempts: 1, Sent: true, Err: b.u.l.hide(err)}
		if !b.done.Swap(true) {
			b.u.end(f)
		}
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	if !b.done.Swap(true) {
		b.u.end(b.f)
	}
	return err
}
