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

// Credential authenticates a client: [AppKey], [BearerToken] or [TokenFrom]. It
// holds its secret in a closure, so that no way of printing it shows the secret.
type Credential struct {
	open func() (*transport.Secret, error)
}

// AppKey authenticates with the app_key of the dashboard. It has administrator
// rights over the account and spends its money.
func AppKey(key string) Credential { return fixed(key, false, "app_key") }

// BearerToken authenticates with a JWT in the Authorization header. It then is not
// part of the URL, which access logs keep.
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

// Token is a JWT that expires. Like a [Password], nothing shows it by accident.
type Token struct {
	value  sealed
	expiry time.Time
}

// NewToken returns a token that expires at a time. A zero time means that it lasts
// until the API refuses it.
func NewToken(value string, expiry time.Time) Token { return Token{seal(value), expiry} }

// String returns when the token expires, and a placeholder for the token.
func (t Token) String() string {
	if t.expiry.IsZero() {
		return "proxylite.Token(" + redactedText + ")"
	}
	return "proxylite.Token(" + redactedText + ", expires " + t.expiry.Format(time.RFC3339) + ")"
}

// GoString is String, for %#v.
func (t Token) GoString() string { return t.String() }

// LogValue is String, for slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// TokenFrom authenticates with JWTs that expire. The source is asked for one when
// there is none, 30 seconds before it expires, and after the API refused it; a
// call that is refused fails, the next one uses a new token.
//
// One call at a time asks the source, and all calls that wait share its result, an
// error too. An error of the source fails the call, unsent. A call waits no longer
// than its own timeout, even if the source ignores its context.
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
