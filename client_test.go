package proxylite_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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

func TestClientNamesItsBaseURLOnly(t *testing.T) {
	t.Parallel()
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key))
	require.NoError(t, err)
	const want = "proxylite.Client(https://api.proxylite.com/end-point)"
	require.Equal(t, []string{want, want, want}, []string{c.String(), c.GoString(), c.LogValue().String()})
}

func TestNewClientFromEnv(t *testing.T) {
	var sent http.Header
	var uri string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, uri = r.Header, r.URL.RequestURI()
		_, _ = io.WriteString(w, apitest.Fine)
	}))
	t.Cleanup(server.Close)
	for _, tt := range []struct {
		key, token, base string
		opts             []proxylite.Option
		uri, auth        string
		problem          string
	}{
		{key: apitest.Key, base: server.URL, uri: "/end-point/user/info?app_key=" + apitest.Key},
		{token: apitest.Key, base: server.URL + "/gateway", uri: "/gateway/user/info", auth: "Bearer " + apitest.Key},
		{token: apitest.Key, base: "https://api.example.com", opts: []proxylite.Option{proxylite.WithBaseURL(server.URL)}, uri: "/end-point/user/info", auth: "Bearer " + apitest.Key},
		{problem: "set PROXYLITE_APP_KEY"},
		{key: apitest.Key, token: apitest.Key, problem: "both PROXYLITE_APP_KEY and PROXYLITE_TOKEN are set"},
		{key: "short", problem: "app_key is too short"},
		{key: apitest.Key, base: "http://api.example.com", problem: "must be https"},
	} {
		t.Setenv("PROXYLITE_APP_KEY", tt.key)
		t.Setenv("PROXYLITE_TOKEN", tt.token)
		t.Setenv("PROXYLITE_BASE_URL", tt.base)
		c, err := proxylite.NewClientFromEnv(tt.opts...)
		if tt.problem != "" {
			require.ErrorContains(t, err, "proxylite: ")
			require.ErrorContains(t, err, tt.problem)
			require.NotContains(t, err.Error(), apitest.Key)
			require.Nil(t, c)
			continue
		}
		require.NoError(t, err)
		_, err = c.User.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, tt.uri, uri)
		require.Equal(t, tt.auth, sent.Get("Authorization"))
	}
	t.Setenv("PROXYLITE_TOKEN", "")
	t.Setenv("PROXYLITE_BASE_URL", "")
	c, err := proxylite.NewClientFromEnv()
	require.NoError(t, err)
	require.Equal(t, "proxylite.Client(https://api.proxylite.com/end-point)", c.String())
}

func TestCloseIdleConnectionsReachesTheTransport(t *testing.T) {
	t.Parallel()
	closed := 0
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(closer{apitest.Playing(apitest.Reply(502, "")), &closed}), apitest.TryOnce)
	require.NoError(t, err)
	_, err = c.User.Info(t.Context())
	require.Error(t, err)
	require.Zero(t, closed, "a failed call must not empty the pool for all")
	c.CloseIdleConnections()
	require.Equal(t, 1, closed)
	apitest.Playing(apitest.Reply(200, "")).Client(t).CloseIdleConnections() // one without is fine
}

type closer struct {
	http.RoundTripper
	n *int
}

func (c closer) CloseIdleConnections() { *c.n++ }

// Invariant 9. A client may be used by many at once, starts no goroutine that
// outlives a call, and leaves alone what it is handed.
func TestClientIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // fails when a goroutine is left behind
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/end-point/user/info" {
				return httpmock.NewStringResponse(503, ""), nil
			}
			for _, op := range apitest.Operations {
				if r.URL.Path == "/end-point"+op.Path {
					return httpmock.NewStringResponse(200, apitest.Fixture(t, op.Name+".json")), nil
				}
			}
			return nil, http.ErrNoLocation
		})
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(mock))
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 8 {
			for _, op := range apitest.Operations {
				wg.Go(func() {
					got, err := op.Call(t.Context(), c)
					if op.Name == "User.Info" {
						assert.ErrorContains(t, err, "safe to retry")
						return
					}
					assert.NoError(t, err)
					assert.Equal(t, op.Documented, got, op.Name)
				})
			}
		}
		wg.Wait()
	})
}

func TestClientLeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{}}`)
	query, payload := url.Values{"b": {"2"}, "a": {"1"}}, map[string]any{"x": 1}
	_, err := proxylite.Call[any](t.Context(), c, proxylite.Operation{Method: "POST", Path: "/x", KeyInBody: true}, query, payload, proxylite.CallQuery("c", "3"))
	require.NoError(t, err)
	require.Equal(t, url.Values{"b": {"2"}, "a": {"1"}}, query)
	require.Equal(t, map[string]any{"x": 1}, payload)

	names := []string{"bob", "eve"}
	opts := make([]proxylite.CallOption, 0, 8)
	require.NoError(t, c.Accounts.Delete(t.Context(), names, opts...))
	require.Equal(t, []string{"bob", "eve"}, names)
	require.Nil(t, opts[:1][0], "nothing is appended to the caller's options")

	orders := proxylite.OrderListParams{PageParams: proxylite.PageParams{Page: 2}}
	for range c.Orders.All(t.Context(), orders) {
		break
	}
	require.Equal(t, 2, orders.Page)
}

func TestNewClientReadsNoEnvironment(t *testing.T) {
	t.Setenv("PROXYLITE_BASE_URL", "http://evil.example.com")
	t.Setenv("PROXYLITE_TOKEN", apitest.Key)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key))
	require.NoError(t, err)
	require.Contains(t, c.String(), proxylite.DefaultBaseURL)
}

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
