package proxylite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/redact"
	"github.com/proxylite/proxylite-go/internal/transport"
	"github.com/proxylite/proxylite-go/internal/wire"
)

// Operation describes an endpoint for [Call].
type Operation struct {
	Name   string // for errors, logs and metrics, e.g. "Coupons.List"
	Method string // http.MethodGet or http.MethodPost
	Path   string // below the base URL, e.g. "/coupon/list"
	Class  Class  // when the client may retry it; the zero value is ClassUnsafe
	// KeyInBody sends the app_key in the JSON body instead of the query. It needs POST.
	KeyInBody bool
}

// Call calls an endpoint that the SDK has no method for. It uses the credential,
// retries, envelope checks and errors of the client. The query may be nil. A body
// that is not nil is sent as JSON.
//
// Call decodes the data of the response into T as leniently as the methods do:
// numbers may be in quotes, null is an empty list, and times without a zone are in
// the client's time zone. T may be any type that encoding/json can decode; a number
// in an any becomes a json.Number. A T that contains a channel, a function or a
// complex number is an [ErrInvalidInput].
func Call[T any](ctx context.Context, c *Client, op Operation, query url.Values, body any, opts ...CallOption) (T, error) {
	in := request{query: query, body: body, anyBody: true}
	in.must(strings.HasPrefix(op.Path, "/") && !strings.ContainsAny(op.Path, "?#"), "Operation.Path", op.Path, "must begin with a slash and have no query")
	in.must(op.Method == http.MethodGet || op.Method == http.MethodPost, "Operation.Method", op.Method, "must be GET or POST")
	in.must(!op.KeyInBody || op.Method == http.MethodPost, "Operation.KeyInBody", "", "needs a POST")
	in.must(query == nil || !query.Has("app_key"), "query", "", "must not have app_key: the client adds it")
	if err := wire.Check(reflect.TypeFor[T]()); err != nil {
		in.must(false, "T", reflect.TypeFor[T]().String(), err.Error())
	}
	if op.KeyInBody && body == nil {
		in.body = struct{}{}
	}
	return send[T](ctx, c, &op, &in, opts)
}

// request is the input of a call and the problems found in it.
type request struct {
	checks
	query     url.Values
	body      any
	anyBody   bool                             // the caller made the body
	passwords []string                         // of accounts; redacted if the response contains them
	needsData bool                             // a success without data is malformed
	emptyOK   bool                             // an empty body with a 2xx status is a success
	valid     func(out any) error              // checks the data of a success
	text      func(text string, out any) error // reads a response that is not JSON
}

func (c *Client) input() *request {
	return &request{checks: checks{vendor: c.vendorRules}}
}

// send makes a call and returns the data of its response. All service methods use it.
func send[T any](ctx context.Context, c *Client, op *Operation, in *request, opts []CallOption) (T, error) {
	var out T
	if err := c.call(ctx, op, in, &out, opts); err != nil {
		var zero T
		return zero, err
	}
	return out, nil
}

// run is send for a call whose response has no data.
func (c *Client) run(ctx context.Context, op *Operation, in *request, opts []CallOption) error {
	return c.call(ctx, op, in, nil, opts)
}

// list is the data of a response with a list that has no pages.
type list[T any] struct {
	List []T `json:"list"`
}

func sendList[T any](ctx context.Context, c *Client, op *Operation, in *request, opts []CallOption) ([]T, error) {
	out, err := send[list[T]](ctx, c, op, in, opts)
	if err != nil {
		return nil, err
	}
	if out.List == nil {
		out.List = []T{}
	}
	return out.List, nil
}

// call is the state of one call, shared by its attempts.
type call struct {
	ctx    context.Context
	client *Client
	op     *Operation
	in     *request
	out    any
	callOptions

	resent    atomic.Int32 // requests that net/http sent again
	before    int64        // successful calls of the client when this one began
	attempts  atomic.Int32 // requests, including those that net/http sends again
	worst     Outcome      // the highest of all attempts; see Outcome
	sender    sender
	transport transport.Call
	first     transport.Attempt // saves an allocation
	url       url.URL

	// of the last attempt
	failure *Error
	wait    time.Duration // before the next attempt
	status  int
	code    int
}

// callOptions is what a [CallOption] changes.
type callOptions struct {
	checks  checks
	raw     *RawResponse
	timeout time.Duration
	policy  RetryPolicy
	query   url.Values     // additional parameters, from CallQuery
	body    map[string]any // additional fields of the JSON body, from CallBody
}

func (c *Client) call(ctx context.Context, op *Operation, in *request, out any, opts []CallOption) error {
	in.must(ctx != nil, "ctx", "", "must not be nil")
	if ctx == nil {
		ctx = context.Background()
	}
	cl := &call{
		ctx: ctx, client: c, op: op, in: in, out: out,
		callOptions: callOptions{timeout: c.timeout, policy: c.policy},
		before:      c.worked.Load(),
		transport:   transport.Call{Unsafe: op.Class == ClassUnsafe, KeyInBody: op.KeyInBody, Passwords: in.passwords},
	}
	cl.transport.Resend = cl.resend
	for _, opt := range opts {
		if opt != nil {
			opt(&cl.callOptions)
		}
	}
	ended := c.observe(cl)
	err := cl.do()
	ended(err)
	if err != nil { // a nil *Error is not a nil error
		return err
	}
	return nil
}

// do makes the call: it checks the input, makes the attempts and determines the
// outcome.
func (c *call) do() *Error {
	if err := c.request(); err != nil {
		return err
	}
	if c.ctx.Err() != nil {
		return c.fail(c.kindOf(c.ctx.Err()), c.ctxError())
	}
	err := c.sender.run()
	if c.failure == nil && err == nil {
		c.client.budget.succeeded()
		c.client.worked.Add(1)
		return nil
	}
	// Never nil: an error means that the context ended during a wait, and a call waits
	// only after a failed attempt.
	e := c.failure
	if err != nil { // keep the failure before the wait
		last := e.cause
		if last == nil {
			last = errors.New(string(e.Kind))
		}
		e.Kind = c.kindOf(c.ctx.Err())
		e.cause = fmt.Errorf("%w, while waiting to retry the call after: %w", c.ctxError(), last)
	}
	// The last attempt alone doesn't tell the outcome: an earlier one may have taken
	// effect. A safe call has no effect, but if one attempt was sent, so was the call.
	if c.op.Class != ClassSafe || e.Outcome == OutcomeNotSent {
		e.Outcome = c.worst
	}
	return e
}

// noHeader is the header that http.Client sees. The chain sets the real one.
var noHeader = http.Header{}

// request checks the input and builds the request, without the credential.
func (c *call) request() *Error {
	in := c.in
	in.problems = append(in.problems, c.checks.problems...)
	for name := range c.query {
		in.must(!in.query.Has(name), "CallQuery", name, "is already a parameter of the call")
	}
	path, err := url.PathUnescape(c.op.Path)
	in.must(err == nil, "Operation.Path", c.op.Path, "has a % that does not begin an escape")
	body := in.json(c.body)
	if err := in.err(); err != nil {
		for i, p := range in.problems { // a key in the wrong place, or several lines of another error
			in.problems[i].Value = c.hide().Text(p.Value)
			in.problems[i].Rule = c.hide().Error(errors.New(p.Rule)).Error()
		}
		return c.fail(KindInput, err)
	}
	u := &c.url
	*u = *c.client.base
	// Keep escapes such as %2F as they are written. Without any, url.URL escapes the path.
	if u.RawPath != "" || strings.Contains(c.op.Path, "%") {
		u.RawPath = u.EscapedPath() + escapedPath(c.op.Path)
	}
	u.Path += path
	if len(in.query)+len(c.query) > 0 {
		u.RawQuery = in.query.Encode()
		if len(c.query) > 0 {
			u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+c.query.Encode(), "&")
		}
	}
	s := &c.sender
	s.call = c
	s.req.Request = (&http.Request{
		Method: c.op.Method, URL: u, Host: u.Host, Header: noHeader,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(c.ctx)
	if body != nil {
		if err := s.req.SetBody(body); err != nil {
			return c.fail(KindInput, err)
		}
		s.req.GetBody = nil // the credential layer sets it if the request may be sent again
	}
	return nil
}

// json returns the body with the additional fields, and notes problems with either.
func (in *request) json(more map[string]any) []byte {
	if in.body == nil {
		in.must(len(more) == 0, "CallBody", "", "needs a call with a JSON body")
		return nil
	}
	body, err := json.Marshal(in.body)
	in.must(err == nil, "body", "", fmt.Sprintf("must be writable as JSON: %v", err))
	if err != nil || len(more) == 0 && !in.anyBody {
		return body
	}
	var fields map[string]json.RawMessage // nil if the body is not an object
	_ = json.Unmarshal(body, &fields)
	in.must(fields["app_key"] == nil, "body", "", "must not have app_key: the client adds it")
	if len(more) == 0 {
		return body
	}
	in.must(fields != nil, "CallBody", "", "needs a body that is a JSON object")
	for name := range more {
		in.must(fields[name] == nil, "CallBody", name, "is already a field of the body")
	}
	added, err := json.Marshal(more)
	in.must(err == nil, "CallBody", "", fmt.Sprintf("must be writable as JSON: %v", err))
	if err != nil || len(fields) == 0 {
		return added
	}
	return append(append(body[:len(body)-1], ','), added[1:]...)
}

// attempt makes one attempt. It waits for the limiter, sends the request and reads the
// response. The attempt timeout starts after the wait.
func (c *call) attempt(req *http.Request) *Error {
	n := c.attempts.Add(1)
	c.status, c.code = 0, 0
	if l := c.client.limiter; l != nil {
		if err := l.Wait(c.ctx); err != nil {
			if req.Body != nil {
				_ = req.Body.Close()
			}
			return c.noResponse(fmt.Errorf("%w: limiter: %w", transport.ErrRefused, err), false)
		}
	}
	a := &c.first
	if n > 1 {
		a = new(transport.Attempt)
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.timeout)
	defer cancel()
	a.Begin(ctx, cancel, &c.transport)
	resp, err := whole(c.client.chain.roundTrip(a, req, c.in.body != nil))
	var e *Error
	if err != nil {
		e = c.noResponse(err, a.End())
	} else if e = c.read(resp, a); !a.End() && e != nil {
		e.Outcome = OutcomeNotSent // the response came from a middleware
	}
	if e == nil {
		return nil
	}
	if c.op.Class == ClassSafe && e.Outcome == OutcomeUnknown {
		e.Outcome = OutcomeSafe
	}
	c.worst = max(c.worst, e.Outcome)
	return e
}

// whole makes of what a transport returned either a response with a body or an error.
func whole(resp *http.Response, err error) (*http.Response, error) {
	switch {
	case resp == nil && err == nil:
		return nil, errors.New("the transport returned neither a response nor an error")
	case resp != nil && resp.Body == nil:
		resp.Body = http.NoBody
	}
	if err != nil && resp != nil {
		_ = resp.Body.Close()
	}
	return resp, err
}

// noResponse makes the error of a request that got no response.
func (c *call) noResponse(err error, sent bool) *Error {
	e := c.fail(c.kindOf(err), c.cause("no response", err))
	if sent {
		e.Outcome = OutcomeUnknown
	}
	return e
}

// kindOf returns the kind of a failure without a usable response. If the context of
// the call has ended, that is the reason, whatever the layers below report.
func (c *call) kindOf(err error) Kind {
	switch ctxErr := c.ctx.Err(); {
	case errors.Is(ctxErr, context.Canceled):
		return KindCanceled
	case ctxErr != nil:
		return KindTimeout
	}
	return transportKind(err)
}

// cause redacts err. If it is a timeout, it says what did not arrive in time.
func (c *call) cause(missing string, err error) error {
	if c.ctx.Err() != nil {
		return c.ctxError()
	}
	err = c.hide().Error(err)
	if transportKind(err) == KindTimeout {
		return fmt.Errorf("%s within %s: %w", missing, c.timeout, err)
	}
	return err
}

// ctxError returns why the context of the call ended, with its cause if that differs.
func (c *call) ctxError() error {
	err, cause := c.ctx.Err(), context.Cause(c.ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, c.hide().Error(cause))
}

func (c *call) route() string {
	path := c.client.base.Path + c.op.Path
	if c.in.anyBody { // the caller made it, perhaps with the key in it
		path = c.hide().Text(path)
	}
	return path
}

func (c *call) hide() *redact.Set { return c.transport.Hide(c.client.secret) }

// fail returns the error of the last attempt, or of a call that made none.
func (c *call) fail(kind Kind, cause error) *Error {
	return &Error{
		Operation: c.op.Name, Method: c.op.Method, Route: c.route(), Kind: kind,
		Status: c.status, Code: c.code, Attempts: int(c.attempts.Load()), cause: cause,
	}
}
