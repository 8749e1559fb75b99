package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/proxylite/proxylite-go/internal/redact"
)

// ErrRefused matches an error for a request that the client refused to send.
var ErrRefused = errors.New("not sent")

func refuse(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

// Credential is the innermost layer, directly above the base transport. It adds the
// secret, so the layers above it, including middleware, never see the secret.
type Credential struct {
	base   http.RoundTripper
	std    *http.Transport // base, if own could be made from it
	own    *http.Transport // for unsafe calls; nil if base can't be cloned
	origin *url.URL
	secret *Secret
}

// NewCredential returns the layer. It sends the secret only to the scheme and host of
// origin.
func NewCredential(base http.RoundTripper, origin *url.URL, secret *Secret) *Credential {
	l := &Credential{base: base, origin: origin, secret: secret}
	if std, ok := base.(*http.Transport); ok && std != nil {
		if l.own = ownTransport(std); l.own != nil {
			l.std = std
		}
	}
	return l
}

// RoundTrip is called by middleware. It redacts secrets that the server sends back, since a
// middleware may write errors, the status and headers to a span or a log.
func (l *Credential) RoundTrip(req *http.Request) (*http.Response, error) {
	a, _ := req.Context().Value(attemptKey{}).(*Attempt)
	if a == nil {
		closeBody(req)
		return nil, refuse("a middleware replaced the request's context; it must derive from it")
	}
	resp, err := l.send(req.Context(), a, req, req.Header, within(req.Context()))
	hide := a.call.Hide(l.secret)
	if err != nil {
		return nil, hide.Error(err)
	}
	if resp != nil {
		resp.Request = req
		resp.Status = hide.Text(resp.Status)
		resp.Header, resp.Trailer = hide.Header(resp.Header), hide.Header(resp.Trailer)
		if resp.Body != nil {
			resp.Body = &hidingBody{resp.Body, resp, hide}
		}
	}
	return resp, nil
}

// Send sends a copy of the request with the given context and header. Without middleware
// it is called in place of RoundTrip, which saves a copy of the request.
func (l *Credential) Send(ctx context.Context, a *Attempt, req *http.Request, header http.Header) (*http.Response, error) {
	return l.send(ctx, a, req, header, io.ReadAll)
}

func (l *Credential) send(ctx context.Context, a *Attempt, req *http.Request, header http.Header, read func(io.Reader) ([]byte, error)) (resp *http.Response, err error) {
	secret, err := l.permit(ctx, req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if err := a.claim(func() { l.secret.reject(secret.value) }); err != nil {
		closeBody(req)
		return nil, err
	}
	sent := false
	defer func() { a.release(sent) }()
	s, ctx := a.newSending(ctx, secret.hide)
	s.std, s.cleartext2 = l.std != nil, l.std != nil && !hasHTTP1(l.std)
	out := req.WithContext(ctx)
	out.Header = header
	base, err := l.prepare(a, out, secret.value, read)
	if err != nil {
		closeBody(out)
		return nil, err
	}
	a.call.hasSent(secret.hide)
	sent = true // until the base transport returns, also if it panics
	if resp, err = base.RoundTrip(out); err != nil {
		sent = l.std == nil || s.sent(err)
		err = s.explain(err)
	}
	return resp, err
}

// permit returns the secret if the request may have it.
func (l *Credential) permit(ctx context.Context, req *http.Request) (held, error) {
	if req.URL.Scheme != l.origin.Scheme || req.URL.Host != l.origin.Host || req.Host != "" && req.Host != l.origin.Host {
		return held{}, refuse("a middleware changed the host; the credential goes to " + l.origin.Host + " only")
	}
	secret, err := l.secret.get(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return held{}, ctx.Err()
		}
		return held{}, fmt.Errorf("%w: token source: %w", ErrRefused, err)
	}
	return secret, nil
}

// prepare adds the secret to the request and returns the transport to send it with.
func (l *Credential) prepare(a *Attempt, out *http.Request, secret string, read func(io.Reader) ([]byte, error)) (http.RoundTripper, error) {
	// The header may be shared by all requests. net/http only reads it.
	if l.secret.Bearer || l.std == nil || l.std.Proxy != nil {
		out.Header = out.Header.Clone()
	}
	var body []byte
	if out.Body != nil {
		var err error
		if body, err = read(out.Body); err != nil {
			if out.Context().Err() != nil {
				return nil, fmt.Errorf("the request body that a middleware set did not end: %w", out.Context().Err())
			}
			return nil, refuse("the request body can't be read")
		}
		_ = out.Body.Close()
	}
	switch {
	case l.secret.Bearer:
		out.Header.Set("Authorization", "Bearer "+secret)
	case a.call.KeyInBody:
		var err error
		if body, err = keyedBody(body, secret); err != nil {
			return nil, err
		}
	default:
		u := *out.URL
		key := "app_key=" + url.QueryEscape(secret)
		if u.RawQuery != "" {
			key = u.RawQuery + "&" + key
		}
		u.RawQuery = key
		out.URL = &u
	}
	return l.choose(a, out, body)
}

// within returns an io.ReadAll that ends with ctx. The body of a middleware may block; the
// client's own does not, and is read without a goroutine, which takes 1.7 µs.
func within(ctx context.Context) func(io.Reader) ([]byte, error) {
	return func(body io.Reader) ([]byte, error) {
		ended := make(chan struct{})
		var all []byte
		var failed error
		go func() {
			defer close(ended)
			all, failed = io.ReadAll(body)
		}()
		select {
		case <-ended:
			return all, failed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// choose gives the request its body, and returns the transport to send it by.
func (l *Credential) choose(a *Attempt, out *http.Request, body []byte) (http.RoundTripper, error) {
	out.Body, out.GetBody = nil, nil
	if out.ContentLength = int64(len(body)); body != nil {
		out.Body = io.NopCloser(bytes.NewReader(body))
	}
	switch {
	case !a.call.Unsafe:
		if body != nil {
			out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		}
	case l.own == nil:
		// There may be a net/http transport below base. It would send again a request
		// that has no body, or one with GetBody.
		if out.Body == nil {
			out.Body = oneShot{}
		}
	case !hasHTTP1(l.std):
		return nil, onlyHTTP2("the transport, by its Protocols,")
	default:
		return l.own, nil
	}
	return l.base, nil
}

func hasHTTP1(t *http.Transport) bool { return t.Protocols == nil || t.Protocols.HTTP1() }

// keyedBody adds the secret to a JSON object.
func keyedBody(body []byte, secret string) ([]byte, error) {
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(body), []byte("{"))
	if !ok {
		return nil, refuse("the request body must be a JSON object, so that it can hold the app_key")
	}
	quoted, err := json.Marshal(secret)
	if err != nil {
		return nil, refuse("the app_key can't be written as JSON")
	}
	out := append(make([]byte, 0, len(body)+len(quoted)+12), `{"app_key":`...)
	out = append(out, quoted...)
	if !bytes.HasPrefix(bytes.TrimSpace(rest), []byte("}")) {
		out = append(out, ',')
	}
	return append(out, rest...), nil
}

// oneShot is an empty body that net/http does not treat as no body.
type oneShot struct{}

func (oneShot) Read([]byte) (int, error) { return 0, io.EOF }
func (oneShot) Close() error             { return nil }

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// hidingBody redacts secrets in read errors, and in the trailers, which net/http adds
// to the response at the end of the body.
type hidingBody struct {
	io.ReadCloser
	resp *http.Response
	hide *redact.Set
}

func (b *hidingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.resp.Trailer = b.hide.Header(b.resp.Trailer)
	} else if err != nil {
		err = b.hide.Error(err)
	}
	return n, err
}
