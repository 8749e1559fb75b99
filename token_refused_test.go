package proxylite_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// A refusal of an old token that comes late must not throw away the new one.
func TestALateRefusalKeepsTheNewToken(t *testing.T) {
	t.Parallel()
	asked, sent := 0, 0
	var c *proxylite.Client
	c, err := proxylite.NewClient(
		proxylite.TokenFrom(func(context.Context) (proxylite.Token, error) {
			asked++
			return proxylite.NewToken([]string{"old-token", "new-token", "third-token"}[asked-1], time.Time{}), nil
		}), apitest.TryOnce,
		proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			old := strings.HasSuffix(r.Header.Get("Authorization"), "old-token")
			if sent++; sent == 1 { // while this one is under way, another finds the token refused
				require.ErrorIs(t, c.Accounts.Enable(r.Context(), []string{"bob"}), proxylite.ErrInvalidAppKey)
				require.NoError(t, c.Accounts.Enable(r.Context(), []string{"bob"}))
			}
			body := `{"code":200}`
			if old {
				body = `{"code":3}`
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})))
	require.NoError(t, err)
	require.ErrorIs(t, c.Accounts.Enable(t.Context(), []string{"bob"}), proxylite.ErrInvalidAppKey)
	require.NoError(t, c.Accounts.Enable(t.Context(), []string{"bob"}))
	require.Equal(t, 2, asked, "the new token was thrown away")
}
