package pool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

type lines struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

// Whatever goes wrong, no text has the login of a proxy.
func TestNoTextHasALogin(t *testing.T) {
	t.Parallel()
	const user, password = "pl-sentinel-user", "sentinel+/=&\"\\pä"
	site := newTarget(t, true, nil)
	plainSite := newTarget(t, false, nil)
	var log lines
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	hook := func(x any) { _, _ = fmt.Fprintf(&log, "%v %+v %#v\n", x, x, x) }
	hooks := pool.Hooks{
		Fetched: func(x pool.Fetch) { hook(x) }, Used: func(x pool.Use) { hook(x) },
		Retired: func(x pool.Retirement) { hook(x) }, Stopped: func(err error) { hook(err) },
	}
	var work sync.WaitGroup
	for _, scheme := range []string{"http", "socks5"} {
		for _, fault := range []proxylitetest.ProxyFault{
			{},
			{Dead: true},
			{Delay: time.Hour},
			{Reset: true},
			{Status: 407, Body: "who is " + user + ":" + password + "?", Reason: password},
			{Status: 502},
			{Status: 509},
			{Status: 512},
		} {
			work.Go(func() {
				proxy := proxylitetest.NewProxy(t, proxylitetest.ProxyOptions{Username: user, Password: password})
				proxy.SetFault(fault)
				connect, patience := time.Minute, time.Minute
				if fault.Delay > 0 {
					connect, patience = 100*time.Millisecond, time.Second
				}
				p := newPool(t, pool.Fixed(proxy.Endpoint()), trusting(site), pool.WithScheme(scheme), pool.WithAttempts(2), pool.WithLogger(logger),
					pool.WithHooks(hooks), pool.WithConnectTimeout(connect), pool.WithCoolDown(1, 1))
				for _, url := range []string{site.URL, plainSite.URL, "https://127.0.0.1:1"} {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					_, err := get(ctx, p.Transport(), url)
					hook(err)
					cancel()
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				conn, err := p.DialContext(ctx, "tcp", site.Listener.Addr().String())
				hook(err)
				if err == nil {
					require.NoError(t, conn.Close())
				}
				cancel()
				l, err := p.Get(ctx)
				hook(err)
				if err == nil {
					for _, x := range []any{l, l.Proxy(), p, *new(pool.Stats), p.Stats()} {
						hook(x)
						logger.Info("all", "x", x)
					}
					l.Done(pool.Worked)
				}
				logger.Warn("failed", "error", err)
			})
		}
	}
	work.Wait()
	g := pool.Gateway{Account: "bob", Password: proxylite.NewPassword(password)}
	hook(g)
	hook(&g)
	logger.Info("gateway", "g", g)
	b, err := json.Marshal(g)
	require.NoError(t, err)
	_, _ = log.Write(b)
	_, err = pool.Gateway{Account: "bob ", Password: proxylite.NewPassword(password)}.Endpoint()
	hook(err)
	_, err = pool.New(pool.Fixed(proxylite.Endpoint{}), pool.WithScheme("x"))
	hook(err)

	text := log.all.String()
	require.Contains(t, text, "proxies fetched")
	require.Contains(t, text, "refused to connect")
	quoted, err := json.Marshal(password)
	require.NoError(t, err)
	for _, secret := range []string{user, password, url.QueryEscape(password), url.PathEscape(password), strings.Trim(string(quoted), `"`), "sentinel+"} {
		require.NotContains(t, text, secret)
	}
}
