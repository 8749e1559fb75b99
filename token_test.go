package proxylite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// A token that is in use while the next one is fetched stays hidden.
func TestTheLastTokenStaysHidden(t *testing.T) {
	t.Parallel()
	var c *proxylite.Client
	asked := 0
	c, err := proxylite.NewClient(proxylite.TokenFrom((&tokens{}).get), proxylite.WithTransport(apitest.RoundTripper(func(*http.Request) (*http.Response, error) {
		if asked++; asked == 1 { // meanwhile the token is refused to another call, and a third has a new one
			_, err := c.Accounts.List(t.Context())
			require.ErrorIs(t, err, proxylite.ErrInvalidAppKey)
			_, err = c.Accounts.List(t.Context())
			require.ErrorContains(t, err, "code 9")
		}
		code := "9"
		if asked == 2 {
			code = "3"
		}
		return httpmock.NewStringResponse(200, `{"code":`+code+`,"msg":"token-1 and token-2"}`), nil
	})))
	require.NoError(t, err)
	_, err = c.Accounts.List(t.Context())
	require.Equal(t, "[REDACTED] and [REDACTED]", apitest.AsError(t, err).Message)
	require.Equal(t, 3, asked)
}

func TestTokenIsRedacted(t *testing.T) {
	t.Parallel()
	token := proxylite.NewToken(sentinel, apitest.Start)
	asJSON, err := json.Marshal(token) //nolint:staticcheck // that it has nothing to show is the point
	require.NoError(t, err)
	text := fmt.Sprintf("%v %+v %#v %s %s", token, token, &token, token, asJSON)
	require.NotContains(t, text, "key")
	require.Contains(t, text, "REDACTED")
}

// tokens is a source that counts how often it is asked.
type tokens struct {
	asked atomic.Int32
	life  time.Duration
	delay time.Duration
}

func (s *tokens) get(ctx context.Context) (proxylite.Token, error) {
	n := s.asked.Add(1)
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return proxylite.Token{}, ctx.Err()
	}
	var expiry time.Time
	if s.life > 0 {
		expiry = time.Now().Add(s.life)
	}
	return proxylite.NewToken(fmt.Sprintf("token-%d", n), expiry), nil
}

func TestManyCallsAskForATokenOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &tokens{life: time.Minute, delay: time.Second}
		var last atomic.Value
		c, err := proxylite.NewClient(proxylite.TokenFrom(source.get), proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			last.Store(r.Header.Get("Authorization"))
			return httpmock.NewStringResponse(200, `{"code":0,"data":{"id":1,"list":[]}}`), nil
		})))
		require.NoError(t, err)
		burst := func() {
			var wg sync.WaitGroup
			for range many {
				wg.Go(func() { _, err := c.Accounts.List(t.Context()); assert.NoError(t, err) })
			}
			wg.Wait()
		}
		burst()
		require.EqualValues(t, 1, source.asked.Load())
		apitest.Pass(29 * time.Second) // 30 more until it expires
		burst()
		require.EqualValues(t, 1, source.asked.Load())
		apitest.Pass(2 * time.Second)
		burst()
		require.EqualValues(t, 2, source.asked.Load())
		require.Equal(t, "Bearer token-2", last.Load())

		// A call that gives up waiting for its turn leaves the others alone.
		apitest.Pass(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(burst)
		synctest.Wait()
		_, err = c.Accounts.List(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome)
		wg.Wait()
		require.EqualValues(t, 3, source.asked.Load())
	})
}

func TestARefusedTokenIsAskedForAnew(t *testing.T) {
	t.Parallel()
	for _, refusal := range []struct {
		status int
		body   string
	}{{200, `{"code":3}`}, {401, apitest.WebPage}} {
		source := &tokens{}
		c, err := proxylite.NewClient(proxylite.TokenFrom(source.get), proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") == "Bearer token-1" {
				return httpmock.NewStringResponse(refusal.status, refusal.body), nil
			}
			return httpmock.NewStringResponse(200, `{"code":0,"data":{"id":1,"list":[]}}`), nil
		})))
		require.NoError(t, err)
		_, err = c.Accounts.List(t.Context())
		require.Error(t, err)
		for range 3 {
			_, err = c.Accounts.List(t.Context())
			require.NoError(t, err)
		}
		require.EqualValues(t, 2, source.asked.Load())
	}
}

func TestAFailingTokenSourceEndsTheCallUnsent(t *testing.T) {
	t.Parallel()
	cause := errors.New("vault is sealed")
	for _, token := range []func() (proxylite.Token, error){
		func() (proxylite.Token, error) { return proxylite.Token{}, cause },
		func() (proxylite.Token, error) { return proxylite.NewToken("short", time.Time{}), nil },
	} {
		mock := httpmock.NewMockTransport()
		c, err := proxylite.NewClient(proxylite.TokenFrom(func(context.Context) (proxylite.Token, error) { return token() }), proxylite.WithTransport(mock))
		require.NoError(t, err)
		_, err = c.Accounts.List(t.Context())
		e := apitest.AsError(t, err)
		require.Equal(t, proxylite.KindConfig, e.Kind)
		require.Equal(t, proxylite.OutcomeNotSent, e.Outcome)
		require.Equal(t, 1, e.Attempts)
		require.Zero(t, mock.GetTotalCallCount())
		if _, err := token(); err != nil {
			require.ErrorIs(t, e, cause)
		}
	}
}
