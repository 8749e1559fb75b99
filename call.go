package proxylite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/proxylite/proxylite-go/internal/wire"
)

// call is the state of one call over all its attempts. It is the context of its
// requests, so that each layer finds it.
type call struct {
	context.Context
	client *Client
	op     *Operation
	in     *request
	out    any

	// what the call options set
	checks  checks
	raw     *RawResponse
	timeout time.Duration
	policy  RetryPolicy
	extra   url.Values

	// over all attempts
	attempts int
	worst    Outcome     // of all attempts
	sought   atomic.Bool // net/http looked for a connection
	sent     atomic.Bool // this attempt had a connection
	trace    httptrace.ClientTrace
	reject   func() // tells the keeper that the API refused the secret

	// the passwords of accounts that the call sends
	hideOnce  sync.Once
	passwords *hidden

	// what would else be made one by one for each call
	sender retryablehttp.Client
	outer  retryablehttp.Request
	url    url.URL

	// of the last attempt
	cancel   context.CancelFunc
	answered bool // readAnswer has run
	failure  *Error
	wait     time.Duration
	status   int
	code     int
}

func newCall(ctx context.Context, c *Client, op *Operation, in *request, out any) *call {
	st := &call{Context: ctx, client: c, op: op, in: in, out: out, timeout: c.timeout, policy: c.policy, code: NoCode}
	st.trace.GetConn = func(string) { st.sought.Store(true) }
	st.trace.GotConn = func(httptrace.GotConnInfo) { st.sent.Store(true) }
	return st
}

// ctxError says why a context ended, with the cause its owner gave.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

type callKey struct{}

// Value makes the call findable in contexts derived from it.
func (st *call) Value(key any) any {
	if key == (callKey{}) {
		return st
	}
	return st.Context.Value(key)
}

func stateOf(ctx context.Context) *call {
	st, _ := ctx.Value(callKey{}).(*call)
	return st
}

func (st *call) route() string { return st.client.base.Path + st.op.Path }

// fail makes the error of an attempt, or of a call that made none.
func (st *call) fail(kind Kind, cause error) *Error {
	return &Error{
		Operation: st.op.Name, Method: st.op.Method, Route: st.route(), Kind: kind,
		Status: st.status, Code: st.code, Attempts: st.attempts, cause: cause,
	}
}

// outside makes an error from below fit to be shown: the URL that net/http wraps
// around it goes, and a secret that it might quote is hidden.
func (st *call) outside(err error) error {
	for {
		u, ok := err.(*url.Error)
		if !ok {
			break
		}
		err = u.Err
	}
	if text := err.Error(); st.scrub(text) != text || deepURL(err) {
		return &scrubbed{st.scrub(text), err}
	}
	return err
}

// scrub hides the credential, and the passwords that the call itself sent.
func (st *call) scrub(s string) string {
	return st.hidePasswords().scrub(st.client.keeper.hide.Load().scrub(s))
}

// scrubStart is scrub for the beginning of a text.
func (st *call) scrubStart(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return []byte(st.hidePasswords().scrubStart(st.client.keeper.hide.Load().scrubStart(string(b))))
}

func (st *call) hidePasswords() *hidden {
	if len(st.in.passwords) == 0 {
		return nil
	}
	st.hideOnce.Do(func() { st.passwords = hide(st.in.passwords...) }) // there may be thousands
	return st.passwords
}

// cleanHeader returns h without secrets, a copy where it had any.
func (st *call) cleanHeader(h http.Header) http.Header {
	shows := func(v string) bool { return st.scrub(v) != v }
	for _, values := range h {
		if slices.ContainsFunc(values, shows) {
			h = h.Clone()
			for _, values := range h {
				for i, v := range values {
					values[i] = st.scrub(v)
				}
			}
			break
		}
	}
	return h
}

func deepURL(err error) bool { _, ok := errors.AsType[*url.Error](err); return ok }

// scrubbed shows a cleaned text and keeps errors.Is. It has no Unwrap: what it
// wraps holds the text again.
type scrubbed struct {
	text string
	err  error
}

func (s *scrubbed) Error() string        { return s.text }
func (s *scrubbed) GoString() string     { return s.text }
func (s *scrubbed) Is(target error) bool { return errors.Is(s.err, target) }

// attemptLayer is the outermost: it counts an attempt and starts its clock.
type attemptLayer struct {
	next    http.RoundTripper
	limiter Limiter
	header  http.Header // of all requests
}

func (l *attemptLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	st := stateOf(req.Context())
	st.attempts++
	st.answered, st.status, st.code = false, 0, NoCode
	st.sent.Store(false)
	if l.limiter != nil {
		if err := l.limiter.Wait(st.Context); err != nil {
			if req.Body != nil {
				_ = req.Body.Close()
			}
			if st.Err() != nil {
				return nil, st.Err()
			}
			return nil, fmt.Errorf("%w: limiter: %w", errRefused, err)
		}
	}
	ctx, cancel := context.WithTimeout(st, st.timeout)
	header := l.header
	last, direct := l.next.(*credentialLayer) // no middleware in between
	if st.in.body != nil || !direct {
		header = header.Clone()
	}
	if st.in.body != nil {
		header["Content-Type"] = []string{"application/json"}
	}
	var resp *http.Response
	var err error
	if direct { // the last layer makes a copy of the request anyway
		resp, err = last.send(ctx, req, header)
	} else {
		out := req.WithContext(ctx)
		out.Header = header
		resp, err = l.next.RoundTrip(out)
	}
	if err == nil && resp == nil {
		err = errors.New("the transport gave neither an answer nor an error")
	}
	if err != nil {
		cancel()
		return nil, err
	}
	st.cancel = cancel
	return resp, nil
}

// checkRetry is called by go-retryablehttp once before the answer is read, and
// once after, or once with the failure that left no answer.
func (st *call) checkRetry(_ context.Context, _ *http.Response, err error) (bool, error) {
	if err == nil && !st.answered {
		return false, nil
	}
	if err == nil {
		st.failure = nil
		return false, nil
	}
	if !st.answered {
		if st.cancel != nil { // http.Client refused the answer: a Location that is no URL
			st.cancel()
		}
		st.failure = st.noAnswer(err)
	}
	st.worst = max(st.worst, st.failure.Outcome)
	if !st.retry() {
		return false, st.failure
	}
	return true, nil
}

// noAnswer says what a failed round trip was. Without a connection nothing was
// sent; the credential layer has marked calls whose transport can't prove that.
func (st *call) noAnswer(err error) *Error {
	e := st.fail(transportKind(err), st.outside(err))
	if st.Err() != nil && errors.Is(err, st.Err()) {
		e.cause = ctxError(st.Context)
	}
	if e.Kind == KindTimeout && st.Err() == nil {
		e.cause = fmt.Errorf("no answer within %s: %w", st.timeout, e.cause)
	}
	if st.sent.Load() && e.Kind != KindConfig {
		e.Outcome = OutcomeUnknown
	}
	return e
}

var answers = sync.Pool{New: func() any { return new(answer) }}

// readAnswer reads, bounds, decodes and closes the body within the attempt.
func (st *call) readAnswer(resp *http.Response) error {
	st.answered = true
	st.sent.Store(true)
	a := answers.Get().(*answer)
	a.reset(resp.Body, st.client.maxAnswer, st.raw != nil)
	st.failure = st.judge(resp, a)
	if st.raw != nil {
		_, _ = io.Copy(io.Discard, a)
		*st.raw = RawResponse{resp.StatusCode, st.cleanHeader(resp.Header.Clone()), st.scrubStart(a.all)}
	}
	if e := st.failure; e != nil {
		e.Body = st.scrubStart(a.head[:a.filled])
		e.Header = st.cleanHeader(resp.Header.Clone())
		e.RetryAfter = parseRetryAfter(resp.Header, time.Now())
		if (e.Code == 3 || e.Status == http.StatusUnauthorized) && st.reject != nil {
			st.reject()
		}
	}
	_ = resp.Body.Close()
	resp.Body = http.NoBody
	st.cancel()
	a.reset(nil, 0, false)
	answers.Put(a)
	if st.failure != nil {
		return st.failure
	}
	return nil
}

// judge decodes an answer and says what is wrong with it, or nil.
func (st *call) judge(resp *http.Response, a *answer) *Error {
	st.status = resp.StatusCode
	status := st.status
	if status < 200 || status >= 300 && status < 400 || status > 599 {
		kind, why := KindRedirect, "redirects are not followed, check the base URL"
		if status < 300 || status > 599 {
			kind, why = KindMalformed, "an HTTP status that no API answers with"
		}
		a.peek()
		return st.answerError(kind, OutcomeUnknown, why)
	}
	first := a.peek()
	if first == 0 && a.err == io.EOF && st.in.emptyOK && status < 300 {
		return nil
	}
	if st.in.text != nil && status == http.StatusOK && first != '{' && first != '<' {
		return st.readText(a)
	}
	if st.out != nil && st.attempts > 1 {
		reflect.ValueOf(st.out).Elem().SetZero()
	}
	var out any
	if status < 300 {
		out = st.out
	}
	var env wire.Envelope
	var err error
	switch {
	case first == 0 && a.err == io.EOF:
		err = errors.New("the answer is empty")
	case first == '<':
		_, _ = io.CopyN(io.Discard, a, 64<<10) // a short page read whole keeps the connection
		err = errors.New("a web page, not the API: " + title(st.scrubStart(a.head[:a.filled])))
	default:
		env, err = wire.Decode(a, st.client.zone, out)
	}
	if env.HasCode {
		st.code = env.Code
	}

	var e *Error
	switch {
	case status == http.StatusTooManyRequests:
		e = st.answerError(KindRateLimited, OutcomeUnknown, "")
	case err == nil && env.HasCode && !env.OK():
		kind, outcome := KindAPI, OutcomeRejected
		if env.Code == http.StatusTooManyRequests {
			kind = KindRateLimited
		}
		// A server error may come after the deed, whoever reports it.
		if status >= 500 || status == http.StatusRequestTimeout || env.Code >= 500 && env.Code <= 599 {
			outcome = OutcomeUnknown
		}
		e = st.answerError(kind, outcome, "")
	case status >= 500:
		e = st.answerError(KindServer, OutcomeUnknown, http.StatusText(status))
	case status == http.StatusRequestTimeout:
		e = st.answerError(KindEdge, OutcomeUnknown, http.StatusText(status))
	case status >= 400:
		e = st.answerError(KindEdge, OutcomeRejected, http.StatusText(status))
		if first == '<' {
			e.cause = err
		}
	case err != nil:
		return st.badAnswer(err, first, &env)
	case !env.HasCode:
		e = st.answerError(KindMalformed, OutcomeUnknown, "the answer has no code")
	case st.in.needsData && !env.HasData:
		e = st.answerError(KindMalformed, OutcomeUnknown, "the answer says success but has no data")
	case st.in.valid == nil:
		return nil
	default:
		if err := st.in.valid(st.out); err != nil {
			return st.badAnswer(err, first, &env)
		}
		return nil
	}
	e.Message = st.scrub(env.Message)
	if env.Errors != nil {
		e.Details = json.RawMessage(st.scrub(string(env.Errors)))
	}
	return e
}

func (st *call) answerError(kind Kind, outcome Outcome, why string) *Error {
	e := st.fail(kind, nil)
	if why != "" {
		e.cause = errors.New(why)
	}
	e.Outcome = outcome
	return e
}

// badAnswer is about a 2xx whose body can't be taken for a success.
func (st *call) badAnswer(err error, first byte, env *wire.Envelope) *Error {
	kind := KindMalformed
	var cut *wire.ReadError
	switch {
	case errors.Is(err, errTooLarge):
		kind = KindTooLarge
		err = fmt.Errorf("the answer is larger than %d bytes: see WithMaxResponse", st.client.maxAnswer)
	case errors.As(err, &cut):
		if kind = transportKind(cut); kind == KindTransport {
			kind = KindTruncated
		}
		switch {
		case st.Err() != nil && errors.Is(err, st.Err()):
			err = &wire.ReadError{Err: ctxError(st.Context)}
		case kind == KindTimeout:
			err = fmt.Errorf("no whole answer within %s: %w", st.timeout, err)
		}
	case first == '<':
		kind = KindEdge
	}
	e := st.fail(kind, st.outside(err))
	e.Outcome = OutcomeUnknown
	e.Message = st.scrub(env.Message)
	return e
}

func (st *call) readText(a *answer) *Error {
	body, err := io.ReadAll(a)
	if err != nil {
		return st.badAnswer(&wire.ReadError{Err: err}, 0, &wire.Envelope{})
	}
	if err := st.in.text(string(body), st.out); err != nil {
		return st.badAnswer(err, 0, &wire.Envelope{})
	}
	return nil
}

// title finds the one thing worth telling of a web page.
func title(page []byte) string {
	_, rest, ok := strings.Cut(string(page), "<title>")
	if !ok {
		return "HTML"
	}
	t, _, _ := strings.Cut(rest, "</title>")
	return fmt.Sprintf("%q", clip(strings.TrimSpace(t), 80))
}

var errTooLarge = errors.New("too large")

// answer is a body with a bound. Its beginning is kept for the error, all of it
// when the caller wants the raw answer.
type answer struct {
	body   io.Reader
	left   int64
	err    error
	head   [4096]byte
	filled int // bytes in head
	served int // of those, given to the reader
	keep   bool
	all    []byte
}

// reset leaves the head as it is: clearing it would cost more than a short answer.
func (a *answer) reset(body io.Reader, bound int64, keep bool) {
	a.body, a.left, a.keep = body, bound, keep
	a.err, a.all, a.filled, a.served = nil, nil, 0, 0
}

// peek returns the first byte that is neither space nor byte order mark, or 0.
func (a *answer) peek() byte {
	for {
		for _, c := range a.head[:a.filled] {
			switch c {
			case ' ', '\t', '\r', '\n', 0xEF, 0xBB, 0xBF:
			default:
				return c
			}
		}
		if a.err != nil || a.filled == len(a.head) {
			return 0
		}
		n, err := a.read(a.head[a.filled:])
		a.filled += n
		a.err = err
	}
}

func (a *answer) Read(p []byte) (int, error) {
	if a.served < a.filled {
		n := copy(p, a.head[a.served:a.filled])
		a.served += n
		return n, nil
	}
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.read(p)
	a.err = err
	if a.filled < len(a.head) {
		a.filled += copy(a.head[a.filled:], p[:n])
		a.served = a.filled
	}
	return n, err
}

func (a *answer) read(p []byte) (int, error) {
	if int64(len(p)) > a.left+1 {
		p = p[:a.left+1]
	}
	n, err := a.body.Read(p)
	if int64(n) > a.left {
		n, err = int(a.left), errTooLarge
	}
	a.left -= int64(n)
	if a.keep {
		a.all = append(a.all, p[:n]...)
	}
	return n, err
}
