package localproxy_test

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
)

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	for _, opt := range []localproxy.Option{
		localproxy.WithLogin("", "x"), localproxy.WithLogin("a_b", "x"), localproxy.WithLogin("a", ""), localproxy.WithDefaultUser("nobody"),
		localproxy.WithConnectTimeout(0), localproxy.WithHandshakeTimeout(0), localproxy.WithIdleTimeout(0), localproxy.WithTotalTimeout(-1),
		localproxy.WithMaxConns(0), localproxy.WithMaxPerSession(0), localproxy.WithSessionBytes(0), localproxy.WithBytes(0),
	} {
		_, err := localproxy.New(l.pool, opt)
		require.Error(t, err)
		_, err = localproxy.NewGroup(pool.NewGroup(nil), opt)
		require.Error(t, err)
	}
	_, err := localproxy.New(nil)
	require.Error(t, err)
	_, err = localproxy.NewGroup(nil)
	require.Error(t, err)
	_, err = localproxy.New(l.pool, nil)
	require.NoError(t, err)
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	for name, opt := range map[string]localproxy.Option{
		"idle": localproxy.WithIdleTimeout(2 * time.Second), "total": localproxy.WithTotalTimeout(2 * time.Second),
	} {
		l.local, l.addr = serve(t, l.pool, opt)
		resp, _, r := l.connect("echo.test:7", "")
		require.Equal(t, 200, resp.StatusCode, name)
		_, err := r.ReadByte()
		require.ErrorContains(t, err, "reset", name)
		require.Eventually(t, func() bool { return l.local.Stats().Active == 0 }, patience, time.Millisecond)
	}
	l.local, l.addr = serve(t, l.pool, localproxy.WithHandshakeTimeout(20*time.Millisecond))
	for _, begin := range []string{"", "C", "GET http://a", "\x05", "\x05\x01\x00\x05"} {
		c := l.dial()
		_, err := io.WriteString(c, begin)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
	require.Eventually(t, func() bool { return l.local.Stats().Connections == 0 }, patience, time.Millisecond)
}

func TestABusyTunnelIsNotIdle(t *testing.T) {
	if os.Getenv("PROXYLITE_LONG") == "" {
		t.Skip("it takes seconds: set PROXYLITE_LONG")
	}
	t.Parallel()
	l := newLab(t, 1, nil, localproxy.WithIdleTimeout(3*time.Second))
	_, c, r := l.connect("echo.test:7", "")
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(100 * time.Millisecond) {
		_, err := io.WriteString(c, "x")
		require.NoError(t, err)
		_, err = r.ReadByte()
		require.NoError(t, err)
	}
}
