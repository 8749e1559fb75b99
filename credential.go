package proxylite

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
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

// hidden knows the forms in which a text might show the secret.
type hidden struct {
	forms    []string
	replacer *strings.Replacer
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
		k.hideSecret(secret)
		return k, nil
	}}
}

func checkSecret(secret, name string) error {
	switch {
	case secret == "":
		return fmt.Errorf("proxylite: the %s is empty: copy it from the dashboard", name)
	case len(secret) < 6:
		// A very short one could not be kept out of texts without garbling them.
		return fmt.Errorf("proxylite: the %s is too short to be one (%d bytes, want at least 6)", name, len(secret))
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
			k.hideSecret(t.Value)
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

const redacted = "[REDACTED]"

// hideSecret prepares the second line of defence: texts from outside (server
// messages, causes) might echo the secret, in any of these forms.
func (k *keeper) hideSecret(secret string) {
	quoted, _ := json.Marshal(secret)
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(secret)
	inner := strings.TrimSpace(plain.String())
	inner = inner[1 : len(inner)-1]
	forms := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		strings.ReplaceAll(url.QueryEscape(secret), "+", "%20"),
		string(quoted[1 : len(quoted)-1]), inner, strings.ReplaceAll(inner, "/", `\/`),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
	if old := k.hide.Load(); old != nil { // a call may still be under way with the last token
		forms = append(forms, old.forms[:min(len(forms), len(old.forms))]...)
	}
	var pairs []string
	for _, form := range forms {
		pairs = append(pairs, form, redacted)
	}
	k.hide.Store(&hidden{forms, strings.NewReplacer(pairs...)})
}

func (k *keeper) scrub(s string) string {
	if h := k.hide.Load(); h != nil && s != "" {
		return h.replacer.Replace(s)
	}
	return s
}

// scrubBytes is scrub for the beginning of a text, which may end within the secret.
func (k *keeper) scrubBytes(b []byte) []byte {
	h := k.hide.Load()
	if h == nil || len(b) == 0 {
		return b
	}
	s := k.scrub(string(b))
	for _, form := range h.forms {
		for n := min(len(form)-1, len(s)); n >= 4; n-- { // fewer tell nothing
			if strings.HasSuffix(s, form[:n]) {
				return []byte(s[:len(s)-n] + redacted)
			}
		}
	}
	return []byte(s)
}

// errRefused marks what the client itself would not send.
var errRefused = errors.New("not sent")

func refuse(why string) error { return fmt.Errorf("%w: %s", errRefused, why) }

// credentialLayer is the innermost: what is above it, middleware included, never
// sees the secret. It works on a copy of the request.
type credentialLayer struct {
	base   http.RoundTripper
	proven bool // base is net/http's own, so that "no connection" proves "not sent"
	origin *url.URL
	keeper *keeper
}

func (l *credentialLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.roundTrip(req)
	if err != nil && errors.Is(err, errRefused) && req.Body != nil {
		_ = req.Body.Close()
	}
	return resp, err
}

func (l *credentialLayer) roundTrip(req *http.Request) (*http.Response, error) {
	st := stateOf(req.Context())
	switch {
	case st == nil:
		return nil, refuse("a middleware replaced the request's context; it must derive from it")
	case req.URL.Scheme != l.origin.Scheme || req.URL.Host != l.origin.Host || req.Host != "" && req.Host != l.origin.Host:
		return nil, refuse("a middleware changed the host; the credential goes to " + l.origin.Host + " only")
	case st.op.Repeat == RepeatOnce && st.sent.Load():
		return nil, refuse("a middleware sent a call again that must be sent once")
	}
	secret, err := l.keeper.get(req.Context())
	if err != nil {
		if ctxErr := req.Context().Err(); ctxErr != nil {
			return nil, ctxErr
		}
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	st.reject = func() { l.keeper.reject(secret) }

	// From here on a request may leave. A foreign base might not report its
	// connections, so it counts as sent from the start.
	if !l.proven {
		st.sent.Store(true)
	}
	out := req.WithContext(httptrace.WithClientTrace(req.Context(), &st.trace))
	out.GetBody = nil // or net/http would send it again where it sees fit
	switch {
	case l.keeper.bearer:
		out.Header = req.Header.Clone()
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
		out.Body = oneShot{}
	}
	resp, err := l.base.RoundTrip(out)
	if resp != nil {
		resp.Request = req
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

// oneShot is an empty body that net/http can't take for none. Over HTTP/1 nothing
// of it is sent.
type oneShot struct{}

func (oneShot) Read([]byte) (int, error) { return 0, io.EOF }
func (oneShot) Close() error             { return nil }
