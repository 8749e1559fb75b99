package proxylite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Credential authenticates a client: [AppKey], [BearerToken] or [TokenFrom]. It
// holds its secret in a closure, so that no way of printing it shows the secret.
type Credential struct{ open func() (*keeper, error) }

// keeper is the one place that knows the secret; only the credential layer asks it.
type keeper struct {
	bearer bool
	get    func(context.Context) (string, error)
	reject func(secret string) // the API did not accept it
	hide   atomic.Pointer[hidden]
}

// AppKey authenticates with the app_key of the dashboard. It has administrator
// rights over the account and spends its money.
func AppKey(key string) Credential { return fixed(key, false, "app_key") }

// BearerToken authenticates with a JWT in the Authorization header. Nothing then
// stands in the URL, where access logs would keep it.
func BearerToken(token string) Credential { return fixed(token, true, "token") }

func fixed(secret string, bearer bool, name string) Credential {
	return Credential{func() (*keeper, error) {
		if err := checkSecret(secret, name); err != nil {
			return nil, err
		}
		k := &keeper{bearer: bearer, reject: func(string) {}}
		k.get = func(context.Context) (string, error) { return secret, nil }
		k.hide.Store(hide(secret))
		return k, nil
	}}
}

func checkSecret(secret, name string) error {
	switch {
	case secret == "":
		return fmt.Errorf("proxylite: the %s is empty: copy it from the dashboard", name)
	case len(secret) < shortestSecret:
		// A very short one could not be kept out of texts without garbling them.
		return fmt.Errorf("proxylite: the %s is too short to be one (%d bytes, want at least %d)", name, len(secret), shortestSecret)
	case strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return fmt.Errorf("proxylite: the %s holds a space or control character: copy it without line breaks", name)
	}
	return nil
}

// Token is a JWT with the time it ends; a zero Expiry means that it lasts until
// the API refuses it.
type Token struct {
	Value  string `json:"-"`
	Expiry time.Time
}

// String keeps the token out of texts.
func (Token) String() string { return "proxylite.Token(redacted)" }

// GoString keeps the token out of %#v.
func (t Token) GoString() string { return t.String() }

// TokenFrom authenticates with JWTs that expire. The source is asked for one when
// there is none, 30 seconds before it expires, and after the API refused it; a
// call that is refused fails, the next one has the new token. Many calls that wait
// for a token ask once. An error of the source ends the call, unsent.
func TokenFrom(source func(context.Context) (Token, error)) Credential {
	return Credential{func() (*keeper, error) {
		if source == nil {
			return nil, errors.New("proxylite: the token source is nil")
		}
		const early = 30 * time.Second
		turn := make(chan struct{}, 1) // a lock that a context can leave
		var held atomic.Pointer[Token]
		valid := func() *Token {
			if t := held.Load(); t != nil && (t.Expiry.IsZero() || time.Until(t.Expiry) > early) {
				return t
			}
			return nil
		}
		k := &keeper{bearer: true}
		k.get = func(ctx context.Context) (string, error) {
			if t := valid(); t != nil {
				return t.Value, nil
			}
			select {
			case turn <- struct{}{}:
				defer func() { <-turn }()
			case <-ctx.Done():
				return "", ctx.Err()
			}
			if t := valid(); t != nil {
				return t.Value, nil
			}
			t, err := source(ctx)
			if err != nil {
				return "", fmt.Errorf("token source: %w", err)
			}
			if err := checkSecret(t.Value, "token"); err != nil {
				return "", err
			}
			secrets := []string{t.Value}
			if old := k.hide.Load(); old != nil { // a call may still be under way with the last token
				secrets = append(secrets, old.secrets[0])
			}
			k.hide.Store(hide(secrets...))
			held.Store(&t)
			return t.Value, nil
		}
		k.reject = func(secret string) {
			if t := held.Load(); t != nil && t.Value == secret {
				held.CompareAndSwap(t, nil)
			}
		}
		return k, nil
	}}
}

// errRefused marks what the client itself would not send.
var errRefused = errors.New("not sent")

func refuse(why string) error { return fmt.Errorf("%w: %s", errRefused, why) }

// credentialLayer is the innermost: what is above it, middleware included, never
// sees the secret. It works on a copy of the request.
type credentialLayer struct {
	base   http.RoundTripper
	std    *http.Transport // base, if it is net/http's own: its "no connection" proves "not sent"
	origin *url.URL
	keeper *keeper
}

// RoundTrip is for a middleware. What the server echoes goes no further than here,
// since a middleware may put errors, the status and headers into a span or a log.
func (l *credentialLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.send(req.Context(), req, req.Header)
	if err != nil && errors.Is(err, errRefused) && req.Body != nil {
		_ = req.Body.Close()
	}
	st := stateOf(req.Context())
	if st == nil {
		return resp, err
	}
	if resp != nil {
		resp.Request = req
		resp.Status = st.scrub(resp.Status)
		if resp.Body != nil {
			resp.Body = answerBody{resp.Body, st}
		}
	}
	if err != nil {
		err = st.outside(err)
	}
	return resp, err
}

// send sends a copy of the request with that context and header, which stays as it is.
func (l *credentialLayer) send(ctx context.Context, req *http.Request, header http.Header) (*http.Response, error) {
	st := stateOf(ctx)
	switch {
	case st == nil:
		return nil, refuse("a middleware replaced the request's context; it must derive from it")
	case req.URL.Scheme != l.origin.Scheme || req.URL.Host != l.origin.Host || req.Host != "" && req.Host != l.origin.Host:
		return nil, refuse("a middleware changed the host; the credential goes to " + l.origin.Host + " only")
	case st.op.Class == ClassUnsafe && st.sent.Load():
		return nil, refuse("a middleware sent a call again that must be sent once")
	}
	secret, err := l.keeper.get(ctx)
	if err != nil {
		if ctxErr := ctx.Err(); ctxErr != nil {
			return nil, ctxErr
		}
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	st.reject = func() { l.keeper.reject(secret) }

	// From here on a request may leave. A foreign base might not report its
	// connections, so it counts as sent from the start.
	if l.std == nil {
		st.sent.Store(true)
	}
	out := req.WithContext(st.traced(ctx))
	out.Header = header
	if l.keeper.bearer || l.std == nil || l.std.Proxy != nil { // net/http itself only reads it
		out.Header = header.Clone()
	}
	out.GetBody = nil // or net/http would send it again where it sees fit
	switch {
	case l.keeper.bearer:
		out.Header.Set("Authorization", "Bearer "+secret)
	case st.op.KeyInBody:
		body, err := l.keyedBody(req.Body, secret)
		if err != nil {
			return nil, err
		}
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.ContentLength = int64(len(body))
	default:
		u := *req.URL
		key := "app_key=" + url.QueryEscape(secret)
		if u.RawQuery != "" {
			key = u.RawQuery + "&" + key
		}
		u.RawQuery = key
		out.URL = &u
	}
	if out.Body == nil {
		// A GET without a body is sent again by net/http itself: when a warm
		// connection dies, once for each of them, and over HTTP/2 as often as
		// the server says GOAWAY, without a pause. With a body it is not, so
		// that an attempt is one request, which the policy and the budget count.
		out.Body, out.TransferEncoding = oneShot{}, identity
	}
	st.sought.Store(false)
	resp, err := l.base.RoundTrip(out)
	if err != nil && !st.sought.Load() {
		// net/http did not look for a connection: a protocol that is registered
		// with it may have sent the request.
		st.sent.Store(true)
	}
	if resp != nil {
		resp.Header = st.cleanHeader(resp.Header) // before http.Client quotes a Location in part
	}
	return resp, err
}

func (l *credentialLayer) keyedBody(body io.ReadCloser, secret string) ([]byte, error) {
	var old []byte
	if body != nil {
		var err error
		old, err = io.ReadAll(body)
		_ = body.Close()
		if err != nil {
			return nil, refuse("the request body can't be read")
		}
	}
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(old), []byte("{"))
	if !ok {
		return nil, refuse("the request body must be a JSON object, so that it can hold the app_key")
	}
	quoted, err := json.Marshal(secret)
	if err != nil {
		return nil, refuse("the app_key can't be written as JSON")
	}
	out := append(make([]byte, 0, len(old)+len(quoted)+12), `{"app_key":`...)
	out = append(out, quoted...)
	if !bytes.HasPrefix(bytes.TrimSpace(rest), []byte("}")) {
		out = append(out, ',')
	}
	return append(out, rest...), nil
}

// answerBody keeps what the server echoes out of the errors of reading.
type answerBody struct {
	io.ReadCloser
	st *call
}

func (b answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = b.st.outside(err)
	}
	return n, err
}

// traced watches for a connection. A trace of the caller's goes on seeing all but
// the credential, which is in the header fields as they are written.
func (st *call) traced(ctx context.Context) context.Context {
	outer := httptrace.ContextClientTrace(ctx)
	if outer == nil {
		return httptrace.WithClientTrace(ctx, &st.trace)
	}
	trace, hide := *outer, st.client.keeper.hide.Load()
	trace.GetConn = func(hostPort string) {
		st.sought.Store(true)
		if outer.GetConn != nil {
			outer.GetConn(hostPort)
		}
	}
	trace.GotConn = func(info httptrace.GotConnInfo) {
		st.sent.Store(true)
		if outer.GotConn != nil {
			outer.GotConn(info)
		}
	}
	if outer.WroteHeaderField != nil {
		trace.WroteHeaderField = func(name string, values []string) {
			shown := make([]string, len(values))
			for i, v := range values {
				shown[i] = hide.scrub(v)
			}
			outer.WroteHeaderField(name, shown)
		}
	}
	if outer.Got1xxResponse != nil {
		trace.Got1xxResponse = func(code int, header textproto.MIMEHeader) error {
			return outer.Got1xxResponse(code, textproto.MIMEHeader(st.cleanHeader(http.Header(header))))
		}
	}
	return httptrace.WithClientTrace(untraced{ctx}, &trace)
}

// untraced hides the caller's trace, which net/http would call besides ours.
type untraced struct{ context.Context }

// Value finds anything but the trace.
func (c untraced) Value(key any) any {
	v := c.Context.Value(key)
	if _, ok := v.(*httptrace.ClientTrace); ok {
		return nil
	}
	return v
}

// oneShot is an empty body that net/http can't take for none. Over HTTP/1 nothing
// of it is sent.
type oneShot struct{}

func (oneShot) Read([]byte) (int, error)         { return 0, io.EOF }
func (oneShot) WriteTo(io.Writer) (int64, error) { return 0, nil } // saves the buffer to copy with
func (oneShot) Close() error                     { return nil }

// identity saves net/http the goroutine that finds out whether a body is empty.
var identity = []string{"identity"}
