package pool

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/clock"
)

// Lease is the use of one proxy.
type Lease struct {
	pool    *Pool
	a       *address
	target  target
	session *session // nil without
	moved   *address // the session's home, which this use may replace
	start   clock.Instant
	done    atomic.Bool

	auto     bool // it ends with the response to a request
	reported bool
}

// Proxy returns the proxy, with its login.
func (l *Lease) Proxy() Proxy { return l.a.proxy() }

// String returns host:port.
func (l *Lease) String() string { return l.a.String() }

// GoString keeps the login out of %#v.
func (l *Lease) GoString() string { return "pool.Lease(" + l.String() + ")" }

// RoundTrip sends a request through this proxy and no other, with keep-alive (see
// [Pool.Transport]) and without retries: a lease is an [http.RoundTripper] for an
// http.Client. At the end of the proxy's life it fails with ErrExpired. What became
// of the request is for Done or [Lease.DoneError] to say.
func (l *Lease) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkRequest(req); err != nil {
		closeBody(req.Body)
		return nil, err
	}
	if l.pool.now().wall >= l.a.deadlineAt() || l.done.Load() {
		closeBody(req.Body)
		return nil, &Error{Proxy: l.String(), Attempts: 1, Err: ErrExpired}
	}
	u := l.use(req, keepFor(req, keep))
	resp, failure := u.send(req, req.Body)
	if failure != nil {
		return nil, &Error{Proxy: l.String(), Attempts: 1, Sent: u.sent.Load(), Err: l.hide(failure)}
	}
	u.watch(resp)
	return resp, nil
}

// hide keeps the login out of an error, where a proxy repeats it.
func (l *Lease) hide(err error) error {
	_, set := hideLogin(l.Proxy().Endpoint.HTTP().User)
	return set.Error(err)
}

// Done ends the lease and says how it went. Only the first call counts.
func (l *Lease) Done(v Verdict) { l.finish(finding{verdict: v}) }

// DoneError ends the lease and lets the pool judge the error of whatever was done
// with the proxy, as [Pool.Transport] judges its own: a local error, a canceled
// context or a refused certificate is not the proxy's fault. nil means that it worked.
func (l *Lease) DoneError(err error) { l.finish(findingOf(err)) }

func (l *Lease) finish(f finding) {
	if l.done.Swap(true) {
		return
	}
	if !l.reported {
		l.report(f)
	}
	l.a.release()
}

// report takes what was found to the pool.
func (l *Lease) report(f finding) {
	p := l.pool
	if f.verdict == FailedForHost && l.target.host == "" {
		f.verdict = Failed
	}
	now := p.now()
	if p.hooks.wantUsed {
		p.hooks.used(Use{
			Proxy: l.a.String(), Host: l.target.host, Target: l.target.addr, Session: l.session.name(),
			Verdict: f.verdict, Duration: now.mono.Sub(l.start), Err: f.err,
		})
	}
	p.conclude(l, f, now)
}

func (l *Lease) meter() *meter {
	if l.session == nil {
		return nil
	}
	return &l.session.meter
}

// Via says which proxy a response came through.
type Via struct {
	Proxy   string // host:port
	Session string // of [WithSession]
	// Moved is the proxy that the session had before, if it has just left it.
	Moved string
	Took  time.Duration // until the response began
	lease *Lease
}

// Endpoint returns the proxy with its login, for [Pool.Report] and [Pool.Drop].
func (v Via) Endpoint() Proxy { return v.lease.Proxy() }

type viaKey struct{}

// ViaOf tells which proxy a response of [Pool.Transport] came through. It is kept in
// the context of resp.Request; nothing of it is sent to the target.
func ViaOf(resp *http.Response) (Via, bool) {
	if resp == nil || resp.Request == nil {
		return Via{}, false
	}
	v, ok := resp.Request.Context().Value(viaKey{}).(*Via)
	if !ok || v.lease == nil {
		return Via{}, false
	}
	return *v, true
}
