package proxylite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/proxylite/proxylite-go/internal/redact"
	"github.com/proxylite/proxylite-go/internal/transport"
)

// Credential authenticates a client. Make one with [AppKey], [BearerToken] or
// [TokenFrom]. Its secret is in a closure, so printing a Credential never shows it.
type Credential struct {
	open func() (*transport.Secret, error)
}

// AppKey authenticates with the app_key (授权密钥) of the dashboard. The app_key has administrator
// rights, which include spending money. It is sent in the URL of most calls.
func AppKey(key string) Credential { return fixed(key, false, "app_key") }

// BearerToken authenticates with a JWT in the Authorization header. Unlike an app_key,
// it does not appear in URLs, which servers log.
func BearerToken(token string) Credential { return fixed(token, true, "token") }

func fixed(secret string, bearer bool, name string) Credential {
	return Credential{func() (*transport.Secret, error) {
		if err := checkSecret(secret, name); err != nil {
			return nil, err
		}
		return transport.Fixed(secret, bearer), nil
	}}
}

func checkSecret(secret, name string) error {
	if err := redact.Check(secret, name); err != nil {
		return fmt.Errorf("proxylite: %w", err)
	}
	return nil
}

// Token is a JWT that expires. Like a [Password], it is redacted when it is printed or
// logged.
type Token struct {
	value  sealed
	expiry time.Time
}

// NewToken returns a token that expires at the given time. A zero time means that it is
// valid until the API refuses it.
func NewToken(value string, expiry time.Time) Token { return Token{seal(value), expiry} }

// String returns a placeholder for the token, and its expiry time if it has one.
func (t Token) String() string {
	if t.expiry.IsZero() {
		return "proxylite.Token(" + redactedText + ")"
	}
	return "proxylite.Token(" + redactedText + ", expires " + t.expiry.Format(time.RFC3339) + ")"
}

// GoString returns the same text as String, for %#v.
func (t Token) GoString() string { return t.String() }

// LogValue returns the same text as String, for slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// TokenFrom authenticates with JWTs that expire. The client asks the source for a token
// before the first call, 30 seconds before the current token expires, and after the API
// has refused the current token. The call that the API refused fails; the next call
// uses the new token.
//
// The source is never called concurrently: all calls that need a token wait for the
// same result. If the source returns an error, these calls fail without being sent. A
// call waits no longer than its attempt timeout, even if the source ignores its context.
func TokenFrom(source func(context.Context) (Token, error)) Credential {
	return Credential{func() (*transport.Secret, error) {
		if source == nil {
			return nil, errors.New("proxylite: the token source is nil")
		}
		return transport.Tokens(func(ctx context.Context) (string, time.Time, error) {
			t, err := source(ctx)
			value := t.value.open()
			if err == nil {
				err = checkSecret(value, "token")
			}
			return value, t.expiry, err
		}), nil
	}}
}
