package proxylite

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go/internal/transport"
	"github.com/proxylite/proxylite-go/internal/wire"
)

var bodies = sync.Pool{New: func() any { return new(body) }}

// read reads, bounds, decodes and closes the body of a response. It returns the
// failure that the response is, or nil.
func (c *call) read(resp *http.Response, a *transport.Attempt) *Error {
	defer resp.Body.Close()
	b := bodies.Get().(*body)
	b.reset(resp.Body, c.client.maxResponse, c.raw != nil)
	defer func() {
		b.reset(nil, 0, false)
		bodies.Put(b)
	}()
	c.status = resp.StatusCode
	e := c.decode(resp, b)
	if c.raw != nil {
		_, _ = io.Copy(io.Discard, b)
		*c.raw = RawResponse{resp.StatusCode, c.hide().Header(resp.Header.Clone()), c.hide().Start(b.all)}
	}
	if e == nil {
		return nil
	}
	_, _ = io.CopyN(io.Discard, b, drained) // a body that is read to its end keeps the connection
	e.Body = c.hide().Start(b.head[:b.filled])
	e.Header = c.hide().Header(resp.Header.Clone())
	e.RetryAfter = parseRetryAfter(e.Header, time.Now())
	if e.Code == codeInvalidKey || e.Status == http.StatusUnauthorized {
		a.Reject()
	}
	return e
}

// drained is how much of a failed response is read so that its connection can be used
// again. A larger body costs more than a new connection.
const drained = 64 << 10

// decode stores the data of a success, and returns the failure that any other
// response is.
func (c *call) decode(resp *http.Response, b *body) *Error {
	r := reply{status: resp.StatusCode, first: b.peek(), needsData: c.in.needsData}
	if code := resp.Header.Get("Content-Encoding"); code != "" && !resp.Uncompressed && !strings.EqualFold(code, "identity") {
		r.encoding = code
	}
	success := r.status >= 200 && r.status < 300
	switch {
	case r.encoding != "", r.status < 200, r.status > 599:
	case r.first == 0 && b.err == io.EOF:
		if c.in.emptyOK && success {
			return nil
		}
		r.err = errEmptyBody
	case c.in.text != nil && r.status == http.StatusOK && r.first != '{' && r.first != '<':
		if r.err = c.readText(b); r.err == nil {
			return nil
		}
	case r.first == '<':
		r.err = errors.New("a web page, not the API: " + title(c.hide().Start(b.head[:b.filled])))
	default:
		out := c.out
		if !success {
			out = nil
		} else if out != nil && c.attempts.Load() > 1 {
			reflect.ValueOf(out).Elem().SetZero() // an attempt before may have stored a part
		}
		r.env, r.err = wire.Decode(b, c.client.zone, out)
	}
	if r.env.HasCode && !r.env.OK() {
		c.code = r.env.Code
	}
	v := r.verdict()
	if v.kind == "" {
		if c.in.valid != nil {
			r.err = c.in.valid(c.out)
		}
		if r.err == nil {
			return nil
		}
		v = verdict{KindMalformed, OutcomeUnknown, r.err}
	}
	return c.refused(&r, v)
}

// refused makes the error of a response.
func (c *call) refused(r *reply, v verdict) *Error {
	e := c.fail(v.kind, v.why)
	e.Outcome = v.outcome
	e.Message = c.hide().Text(r.env.Message)
	if v.why != nil && v.why == r.err {
		e.Kind, e.cause = c.whyCut(v.kind, r.err)
	} else if r.env.Errors != nil {
		e.Details = c.hide().JSON(r.env.Errors)
	}
	return e
}

// whyCut finds out why a body could not be read.
func (c *call) whyCut(kind Kind, err error) (Kind, error) {
	var cut *wire.ReadError
	switch {
	case errors.Is(err, errTooLarge):
		return KindTooLarge, fmt.Errorf("the response is larger than %d bytes: see WithMaxResponse", c.client.maxResponse)
	case errors.As(err, &cut):
		if kind = c.kindOf(cut); kind == KindTransport {
			kind = KindTruncated
		}
		return kind, c.cause("no whole response", err)
	}
	return kind, c.hide().Error(err)
}

func (c *call) readText(b *body) error {
	text, err := io.ReadAll(b)
	if err != nil {
		return &wire.ReadError{Err: err}
	}
	return c.in.text(string(text), c.out)
}

var errEmptyBody = errors.New("the response is empty")

// reply is what was read of a response.
type reply struct {
	status    int
	encoding  string        // one that was not asked for
	first     byte          // of the body, after spaces; 0 for none
	env       wire.Envelope // as far as it was read
	err       error         // why it could not be read to its end
	needsData bool
}

// verdict is what a response means. The zero value is a success.
type verdict struct {
	kind    Kind
	outcome Outcome
	why     error
}

// verdict judges a response by nothing but what was read of it.
func (r *reply) verdict() verdict {
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
		return failed(KindMalformed, OutcomeUnknown, "an HTTP status that no API responds with")
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

// refusal is about an envelope with an error code.
func (r *reply) refusal() verdict {
	v := verdict{kind: KindAPI, outcome: OutcomeRejected}
	if r.env.Code == http.StatusTooManyRequests {
		v.kind = KindRateLimited
	}
	// A server error may come after the deed, whoever reports it.
	if r.status >= 500 || r.status == http.StatusRequestTimeout || r.env.Code >= 500 && r.env.Code <= 599 {
		v.outcome = OutcomeUnknown
	}
	return v
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

// body reads a response within a bound. Its beginning is kept for the error, all of it
// when the caller wants the raw response.
type body struct {
	src    io.Reader
	left   int64
	err    error
	head   [4096]byte
	filled int // bytes in head
	served int // of those, given to the reader
	keep   bool
	all    []byte
}

// reset leaves the head as it is: clearing it would cost more than a short response.
func (b *body) reset(src io.Reader, bound int64, keep bool) {
	b.src, b.left, b.keep = src, bound, keep
	b.err, b.all, b.filled, b.served = nil, nil, 0, 0
}

// peek returns the first byte that is neither space nor byte order mark, or 0.
func (b *body) peek() byte {
	for {
		for _, c := range b.head[:b.filled] {
			switch c {
			case ' ', '\t', '\r', '\n', 0xEF, 0xBB, 0xBF:
			default:
				return c
			}
		}
		if b.err != nil || b.filled == len(b.head) {
			return 0
		}
		n, err := b.read(b.head[b.filled:])
		b.filled += n
		b.err = err
	}
}

func (b *body) Read(p []byte) (int, error) {
	if b.served < b.filled {
		n := copy(p, b.head[b.served:b.filled])
		b.served += n
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.read(p)
	b.err = err
	if b.filled < len(b.head) {
		b.filled += copy(b.head[b.filled:], p[:n])
		b.served = b.filled
	}
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	if int64(len(p))-1 > b.left {
		p = p[:b.left+1]
	}
	n, err := b.src.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), errTooLarge
	}
	b.left -= int64(n)
	if b.keep {
		b.all = append(b.all, p[:n]...)
	}
	return n, err
}
