package proxylite_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
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

// Many are as many goroutines as a busy service has on one client.
const many = 64

// Invariant 9. Many use one client at once, over real connections, and each gets
// its own answers. When the client is told to, no connection outlives the calls.
func TestManyUseOneClientOverTheNetwork(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	opened, none := 0, make(chan struct{}, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, op := range apitest.Operations {
			if r.URL.Path == "/end-point"+op.Path {
				_, _ = w.Write([]byte(apitest.Fixture(t, op.Name+".json")))
			}
		}
	}))
	server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			open[conn] = true
			opened++
		case http.StateClosed:
			if delete(open, conn); len(open) == 0 {
				select {
				case none <- struct{}{}:
				default:
				}
			}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	tr := proxylite.NewTransport()
	tr.IdleConnTimeout = 0 // they stay until they are told
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL), proxylite.WithTransport(tr))
	require.NoError(t, err)

	var calls atomic.Int32
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			for _, op := range apitest.Operations {
				if op.Class != proxylite.ClassSafe {
					continue
				}
				calls.Add(1)
				got, err := op.Call(t.Context(), c)
				assert.NoError(t, err, op.Name)
				assert.Equal(t, op.Documented, got, op.Name)
			}
		})
	}
	wg.Wait()
	mu.Lock()
	require.Greater(t, calls.Load(), int32(many*10), "the reads were not called")
	require.LessOrEqual(t, opened, 2*many, "connections are used again")
	require.NotEmpty(t, open, "connections are kept for the next call")
	mu.Unlock()

	c.CloseIdleConnections()
	for closed := false; !closed; {
		select {
		case <-none:
		case <-time.After(30 * time.Second):
			t.Fatal("a connection stays")
		}
		mu.Lock()
		closed = len(open) == 0
		mu.Unlock()
	}
}

// A token source is asked once when many calls at a time find the token refused,
// whether by code 3 or by status 401, and once when they find it expired.
func TestManyCallsThatAreRefusedAskForATokenOnce(t *testing.T) {
	t.Parallel()
	for _, refusal := range []struct {
		status int
		body   string
	}{{200, `{"code":3}`}, {401, apitest.WebPage}} {
		synctest.Test(t, func(t *testing.T) {
			var asked, refused atomic.Int32
			c, err := proxylite.NewClient(
				proxylite.TokenFrom(func(context.Context) (proxylite.Token, error) {
					apitest.Pass(time.Second)
					return proxylite.NewToken(fmt.Sprintf("token-%d", asked.Add(1)), time.Now().Add(time.Hour)), nil
				}),
				proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
					apitest.Pass(time.Second) // all of them are under way before the first answer
					if r.Header.Get("Authorization") == "Bearer token-1" {
						refused.Add(1)
						return httpmock.NewStringResponse(refusal.status, refusal.body), nil
					}
					return httpmock.NewStringResponse(200, apitest.Fine), nil
				})))
			require.NoError(t, err)
			burst := func(check func(error)) {
				var wg sync.WaitGroup
				for range many {
					wg.Go(func() { _, err := c.Accounts.List(t.Context()); check(err) })
				}
				wg.Wait()
			}
			burst(func(err error) { assert.Error(t, err) })
			require.EqualValues(t, many, refused.Load())
			require.EqualValues(t, 1, asked.Load())
			burst(func(err error) { assert.NoError(t, err) })
			require.EqualValues(t, 2, asked.Load())
			apitest.Pass(time.Hour)
			burst(func(err error) { assert.NoError(t, err) })
			require.EqualValues(t, 3, asked.Load())
			require.EqualValues(t, many, refused.Load())
		})
	}
}
