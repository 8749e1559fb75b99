package proxylite

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go/internal/transport"
	"github.com/proxylite/proxylite-go/internal/wire"
)

// read decodes the body of a response, up to the size limit, and closes it. It returns
// nil if the response is a success.
func (c *call) read(resp *http.Response, a *transport.Attempt) *Error {
	defer resp.Body.Close()
	b := wire.NewBody(a, resp.Body, c.client.maxResponse)
	defer b.Release()
	if c.raw != nil {
		b.KeepAll()
	}
	c.status = resp.StatusCode
	e := c.decode(resp, b)
	if c.raw != nil {
		b.Drain(math.MaxInt64)
		*c.raw = RawResponse{resp.StatusCode, c.hide().Header(resp.Header.Clone()), c.hide().Start(b.All())}
	}
	if e == nil {
		return nil
	}
	b.Drain(drained) // net/http reuses the connection only after the end of the body
	e.Body = c.hide().Start(b.Head())
	e.Header = c.hide().Header(resp.Header.Clone())
	e.RetryAfter = parseRetryAfter(e.Header, time.Now())
	if e.Code == codeInvalidKey || e.Status == http.StatusUnauthorized {
		a.Reject()
	}
	return e
}

// drained is how much of a failed response is read so that its connection can be
// reused. Reading more would cost more than a new connection.
const drained = 64 << 10

// decode stores the data of a success. For any other response it returns the error.
func (c *call) decode(resp *http.Response, b *wire.Body) *Error {
	r := reply{status: resp.StatusCode, needsData: c.in.needsData}
	if code := resp.Header.Get("Content-Encoding"); code != "" && !resp.Uncompressed && !strings.EqualFold(code, "identity") {
		r.encoding = code
	} else if fromAPI(r.status) && c.receive(&r, b) {
		return nil
	}
	if r.env.HasCode && !r.env.OK() {
		c.code = r.env.Code
	}
	v := r.verdict()
	if v.kind != "" {
		return c.refused(&r, v)
	}
	if c.in.valid != nil {
		if r.err = c.in.valid(c.out); r.err != nil {
			return c.refused(&r, verdict{KindMalformed, OutcomeUnknown, r.err})
		}
	}
	return nil
}

// receive reads a body that may come from the API. It reports whether that is a
// success without an envelope: an empty body or text, where the call takes them.
func (c *call) receive(r *reply, b *wire.Body) (done bool) {
	first, err := b.Peek()
	r.first = first
	success := r.status >= 200 && r.status < 300
	switch {
	case err == io.EOF:
		r.err = errEmptyBody
		return c.in.emptyOK && success
	case c.in.text != nil && r.status == http.StatusOK && first != '{' && first != '<':
		r.err = c.readText(b)
		return r.err == nil
	case first == '<':
		r.err = errors.New("a web page, not the API: " + title(c.hide().Start(b.Head())))
		return false
	}
	out := c.out
	if !success {
		out = nil
	} else if out != nil && c.attempts.Load() > 1 {
		reflect.ValueOf(out).Elem().SetZero() // an earlier attempt may have stored a part
	}
	r.env, r.err = b.Decode(c.client.zone, out)
	return false
}

// An error keeps at most this much of a response. Searching a text for secrets takes
// time, and a hostile server must not be able to make it long.
const (
	maxMessage = 4 << 10
	maxDetails = 64 << 10
)

// refused returns the error for a response that is not a success.
func (c *call) refused(r *reply, v verdict) *Error {
	e := c.fail(v.kind, v.why)
	e.Outcome = v.outcome
	if e.Message = r.env.Message; len(e.Message) <= maxMessage {
		e.Message = c.hide().Text(e.Message)
	} else {
		e.Message = string(c.hide().Start([]byte(e.Message[:maxMessage])))
	}
	if v.why != nil && v.why == r.err {
		e.Kind, e.cause = c.readFailure(v.kind, r.err)
	} else if len(r.env.Errors) <= maxDetails && r.env.Errors != nil {
		e.Details = c.hide().JSON(r.env.Errors)
	}
	return e
}

// readFailure returns the kind and the cause of a failure to read or decode the body. The
// kind is for a body that could be read but not decoded.
func (c *call) readFailure(kind Kind, err error) (Kind, error) {
	var cut *wire.ReadError
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		return KindTooLarge, err
	case errors.As(err, &cut):
		if kind = c.kindOf(cut); kind == KindTransport {
			kind = KindTruncated
		}
		return kind, c.cause("no whole response", err)
	}
	return kind, c.hide().Error(err)
}

func (c *call) readText(b *wire.Body) error {
	text, err := b.Text()
	if err != nil {
		return err
	}
	return c.in.text(text, c.out)
}

var errEmptyBody = errors.New("the response is empty")

// reply is the part of a response that the verdict depends on.
type reply struct {
	status    int
	encoding  string        // a Content-Encoding that the client did not ask for
	first     byte          // of the body, after white space; 0 if it is empty
	env       wire.Envelope // as far as it could be read
	err       error         // why the body could not be read or decoded
	needsData bool
}

// fromAPI reports whether the API may send a response with this status.
func fromAPI(status int) bool {
	return status >= 200 && status < 300 || status >= 400 && status < 600
}

// verdict is what a response means. The zero value is a success.
type verdict struct {
	kind    Kind
	outcome Outcome
	why     error
}

// verdict judges a response. It depends on nothing but r.
func (r *reply) verdict() verdict { //nolint:cyclop // one list of cases, the first that fits
	failed := func(kind Kind, outcome Outcome, why string) verdict {
		v := verdict{kind: kind, outcome: outcome}
		if why != "" {
			v.why = errors.New(why)
		}
		return v
	}
	text := http.StatusText(r.status)
	switch {
	case r.encoding != "" && r.status >= 200 && r.status < 300:
		return failed(KindMalformed, OutcomeUnknown, "the response is encoded as "+strconv.Quote(clip(r.encoding, 40))+", which was not asked for: a server or proxy in between ignores Accept-Encoding")
	case r.status < 200 || r.status > 599:
		return failed(KindMalformed, OutcomeUnknown, "not a valid HTTP status")
	case r.status == http.StatusNotModified:
		return failed(KindMalformed, OutcomeUnknown, "not modified: a cache responded to a request that is not conditional")
	case r.status >= 300 && r.status < 400:
		return failed(KindRedirect, OutcomeUnknown, "redirects are not followed, check the base URL")
	case r.status == http.StatusTooManyRequests:
		return failed(KindRateLimited, OutcomeUnknown, "")
	case r.err == nil && r.env.HasCode && !r.env.OK():
		return r.refusal()
	case r.status >= 500:
		return failed(KindServer, OutcomeUnknown, text)
	case r.status == http.StatusRequestTimeout:
		return failed(KindEdge, OutcomeUnknown, text)
	case r.status >= 400:
		v := failed(KindEdge, OutcomeRejected, text)
		if r.first == '<' {
			v.why = r.err
		}
		return v
	case r.err != nil && r.first == '<':
		return verdict{KindEdge, OutcomeUnknown, r.err}
	case r.err != nil:
		return verdict{KindMalformed, OutcomeUnknown, r.err}
	case !r.env.HasCode:
		return failed(KindMalformed, OutcomeUnknown, "the response has no code")
	case r.needsData && !r.env.HasData:
		return failed(KindMalformed, OutcomeUnknown, "the response says success but has no data")
	}
	return verdict{}
}

// refusal is the verdict on an envelope with an error code.
func (r *reply) refusal() verdict {
	v := verdict{kind: KindAPI, outcome: OutcomeRejected}
	if r.env.Code == http.StatusTooManyRequests {
		v.kind = KindRateLimited
	}
	// A server that reports an internal error may have done the work before it failed.
	if r.status >= 500 || r.status == http.StatusRequestTimeout || r.env.Code >= 500 && r.env.Code <= 599 {
		v.outcome = OutcomeUnknown
	}
	return v
}

// title returns the quoted title of a web page, or "HTML" if it has none.
func title(page []byte) string {
	_, rest, ok := strings.Cut(string(page), "<title>")
	if !ok {
		return "HTML"
	}
	t, _, _ := strings.Cut(rest, "</title>")
	return fmt.Sprintf("%q", clip(strings.TrimSpace(t), 80))
}
