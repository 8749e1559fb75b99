package pool

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// finding is what one use has shown.
type finding struct {
	verdict Verdict
	class   class
	err     error

	// Of a judgement of a response.
	slow       bool          // to slow down, rather than to go elsewhere
	retryAfter time.Duration // for so long
	unproven   bool          // it may be the page, not the proxy
}

// class is what a failure is about.
type class int

const (
	byCaller class = iota // the caller has judged
	byJudge               // WithJudge has
	byReach               // the proxy was not reached, or said that it does not work
	byProxy               // the proxy failed for the target, which can't have caused it
	byTarget              // the proxy failed for the target, which may have caused it
)

// VerdictOf judges the error of a use, for Done of a lease: it knows this machine's
// errors and the caller's, refusals of proxies (of Go's SOCKS5 clients too), and
// takes a failure to connect for the proxy's. [Lease.DoneError] does that, and leaves
// to the pool to find out whose fault it was.
func VerdictOf(err error) Verdict { return findingOf(err).verdict }

func findingOf(err error) finding {
	f := finding{verdict: Worked, err: err}
	if err == nil {
		return f
	}
	inner := err
	if e, ok := errors.AsType[*Error](err); ok {
		inner = e.Err
	}
	if isConnecting(inner) {
		inner = &dialError{inner}
	}
	f = judge(situation{err: socksRefusal("", inner), canceled: errors.Is(err, context.Canceled), late: errors.Is(err, context.DeadlineExceeded), tunnel: true})
	f.err = err
	return f
}

// situation is how a use has failed.
type situation struct {
	err      error
	canceled bool // by the caller
	late     bool // the caller's deadline has passed
	slow     bool // and connecting was slow
	silent   bool // and nothing came for longer than connecting may take
	reached  bool // the proxy was
	idle     bool // it failed before anything was dialed
	plain    bool // there was no tunnel: the proxy has read the request
	tunnel   bool // there was one
}

// judge says whose fault a failure may be.
func judge(s situation) finding { //nolint:cyclop // one list of cases, the first that fits
	f := finding{err: s.err}
	if refusal, ok := errors.AsType[*ConnectError](s.err); ok {
		f.verdict, f.class = refusal.judge(s.plain)
		return f
	}
	dialing := isDial(s.err)
	switch {
	case errors.Is(s.err, ErrExpired), errors.Is(s.err, ErrByteBudget), s.canceled:
	case s.late && s.silent:
		f.verdict, f.class = FailedForHost, byTarget
	case s.late && !s.slow:
		if s.plain || s.tunnel { // nothing is held against it, until others work there
			f.class = byTarget
		}
	case dialing && local(s.err), callersBody(s.err):
	case dialing:
		f.verdict, f.class = Failed, byReach
	case s.late && !s.reached:
		f.verdict, f.class = Failed, byReach
	case s.idle:
	case s.plain, s.tunnel:
		f.verdict, f.class = FailedForHost, byTarget
	default: // it hung up, hung or said nonsense, when it was asked for a tunnel
		f.verdict, f.class = FailedForHost, byProxy
	}
	return f
}

// judge says what a refusal means. Without a tunnel it may be the target's.
func (e *ConnectError) judge(plain bool) (Verdict, class) {
	switch {
	case plain:
		return FailedForHost, byTarget
	case e.kind == ErrProxyAuth || e.kind == ErrProxyDead:
		return Dead, byReach
	case e.kind == ErrNotAllowed || e.kind == ErrProxyTLS:
		return Failed, byReach
	}
	switch e.Status {
	case 0, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusInternalServerError:
		return FailedForHost, byTarget // it responded, but does not reach that host
	}
	return FailedForHost, byProxy // or it won't
}

// isSOCKS tells that a SOCKS5 proxy has made no tunnel.
func isSOCKS(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "socks connect"
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*ConnectError](err)
	return ok
}

func isDial(err error) bool {
	_, ok := errors.AsType[*dialError](err)
	return ok
}

// isConnecting tells that an error of somebody's own client is of connecting to a proxy,
// whatever layers are around it.
func isConnecting(err error) bool {
	for op, ok := errors.AsType[*net.OpError](err); ok; op, ok = errors.AsType[*net.OpError](op.Err) {
		if op.Op == "dial" || op.Op == "proxyconnect" {
			return true
		}
	}
	return false
}

// local tells that a dial has failed for this machine's fault. Some dialers pass on the
// text of an error only.
func local(err error) bool {
	text := err.Error()
	for _, e := range localErrors {
		if errors.Is(err, e) || strings.Contains(text, e.Error()) {
			return true
		}
	}
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && !dns.IsNotFound // the resolver failed
}

// bodyError is why the caller's body could not be sent.
type bodyError struct{ error }

func (e bodyError) Unwrap() error { return e.error }

// callersBody tells that a request failed for its own body.
func callersBody(err error) bool {
	if _, ok := errors.AsType[bodyError](err); ok {
		return true
	}
	return strings.Contains(err.Error(), "http: ContentLength=")
}

// markedBody marks the errors of a request's body.
type markedBody struct{ io.ReadCloser }

func (b markedBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	if err != nil && err != io.EOF {
		err = bodyError{err}
	}
	return n, err
}

// ambiguous tells that a response that came without a tunnel may be the proxy's own.
func ambiguous(status int) bool {
	switch status {
	case 400, 402, 403, 429, 495, 500, 501, 502, 503, 504, 509, 511, 512:
		return true
	}
	return false
}

// socksRefusal finds a SOCKS5 proxy's own reply in an error. The libraries give
// it as text only.
func socksRefusal(proxy string, err error) error {
	text := err.Error()
	_, reply, ok := strings.Cut(text, "unknown error ")
	switch {
	case strings.Contains(text, "username/password authentication failed"), strings.Contains(text, "no acceptable authentication methods"):
		return &ConnectError{Proxy: proxy, Reason: "login refused", kind: ErrProxyAuth}
	case ok && strings.Contains(text, "socks connect"):
		return &ConnectError{Proxy: proxy, Reason: reply}
	}
	return err
}
