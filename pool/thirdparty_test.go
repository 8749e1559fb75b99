package pool_test

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

// thirdParty returns the proxy that a variable names, as host:port:user:password.
func thirdParty(t *testing.T, variable string) proxylite.Endpoint {
	t.Helper()
	s := os.Getenv(variable)
	if s == "" {
		t.Skip("no proxy is given in " + variable + ": see scripts/third-party.sh")
	}
	e, err := proxylite.ParseEndpoint(s)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // it may have been started just now
		conn, err := net.Dial("tcp", e.Addr())
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 10*time.Second, 50*time.Millisecond)
	return e
}

func nobodyListens(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestThirdPartyHTTPProxy(t *testing.T) {
	t.Parallel()
	e := thirdParty(t, "PROXYLITE_TEST_HTTP_PROXY")
	secure, open := newTarget(t, true, nil), newTarget(t, false, nil)
	for _, rotation := range []pool.Rotation{pool.RoundRobin, pool.PerRequest} {
		p := newPool(t, pool.Fixed(e), trusting(secure), pool.WithRotation(rotation))
		for range 5 {
			for _, site := range []*target{secure, open} {
				body, err := get(t.Context(), p.Transport(), site.URL)
				require.NoError(t, err)
				require.Equal(t, "hello", body)
				require.NoError(t, send(t, p.Transport(), post(t.Context(), t, site.URL, "order")))
			}
		}
	}
	require.EqualValues(t, 20, secure.hits.Load())
	require.EqualValues(t, 20, open.hits.Load())

	_, err := get(t.Context(), newPool(t, pool.Fixed(e), pool.WithAttempts(1)).Transport(), "https://"+nobodyListens(t))
	var refused *pool.ConnectError
	require.ErrorAs(t, err, &refused)
	require.GreaterOrEqual(t, refused.Status, 500)

	e.Password = proxylite.NewPassword("wrong")
	_, err = get(t.Context(), newPool(t, pool.Fixed(e), trusting(secure)).Transport(), secure.URL)
	require.ErrorIs(t, err, pool.ErrProxyAuth)
	require.EqualValues(t, 20, secure.hits.Load())
}

func TestThirdPartySOCKSProxy(t *testing.T) {
	t.Parallel()
	e := thirdParty(t, "PROXYLITE_TEST_SOCKS_PROXY")
	secure, open, tcp := newTarget(t, true, nil), newTarget(t, false, nil), echo(t)
	p := newPool(t, pool.Fixed(e), trusting(secure), pool.WithScheme("socks5"))
	for range 5 {
		require.NoError(t, ping(t.Context(), p, tcp))
		for _, site := range []*target{secure, open} {
			body, err := get(t.Context(), p.Transport(), site.URL)
			require.NoError(t, err)
			require.Equal(t, "hello", body)
		}
	}
	_, err := newPool(t, pool.Fixed(e), pool.WithAttempts(1)).DialContext(t.Context(), "tcp", nobodyListens(t))
	var refused *pool.ConnectError
	require.ErrorAs(t, err, &refused)

	e.Password = proxylite.NewPassword("wrong")
	_, err = newPool(t, pool.Fixed(e)).DialContext(t.Context(), "tcp", tcp)
	require.ErrorIs(t, err, pool.ErrProxyAuth)
}
