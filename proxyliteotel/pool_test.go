package proxyliteotel_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxyliteotel"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestPool(t *testing.T) {
	t.Parallel()
	tel := newTelemetry()
	server := proxylitetest.NewServer(t)
	p, err := pool.New(pool.Extract(server.Client().IP, proxylite.IPExtractParams{Quantity: 3, Life: 30 * time.Minute}),
		proxyliteotel.ForPool("a", tel.opts...), pool.WithSize(1))
	require.NoError(t, err)
	watched, err := proxyliteotel.WatchPool("a", p, tel.opts...)
	require.NoError(t, err)
	lease, err := p.Get(t.Context())
	require.NoError(t, err)

	require.Equal(t, map[string]int64{"proxylite.pool.name=a": 1}, tel.points(t, "proxylite.pool.in_flight"))
	lease.Done(pool.Dead)
	stats := p.Stats()
	require.Equal(t, map[string]int64{"proxylite.pool.name=a": int64(stats.Spent)}, tel.points(t, "proxylite.pool.proxy.spent"))
	require.Positive(t, stats.Spent)
	require.Equal(t, map[string]int64{"proxylite.pool.name=a,proxylite.pool.state=live": int64(stats.Live), "proxylite.pool.name=a,proxylite.pool.state=resting": 0},
		tel.points(t, "proxylite.pool.proxy.count"))
	require.NoError(t, p.Close())
	require.NoError(t, watched.Unregister())

	require.Equal(t, int64(1), tel.points(t, "proxylite.pool.use.duration")["proxylite.pool.name=a,proxylite.pool.verdict=dead"])
	require.Equal(t, int64(1), tel.points(t, "proxylite.pool.proxy.retired")["proxylite.pool.name=a,proxylite.pool.reason=dead"])
	require.Empty(t, tel.points(t, "proxylite.pool.waiting"), "nothing watches any more")
	spans := tel.spans.GetSpans()
	require.NotEmpty(t, spans)
	require.Equal(t, "pool fetch", spans[0].Name)
	require.Equal(t, int64(1), attributes(spans[0])["proxylite.pool.spent"])
}

func TestAFailedFetchSaysItsKind(t *testing.T) {
	t.Parallel()
	tel := newTelemetry()
	p, err := pool.New(pool.Source{Fetch: func(context.Context, int) ([]pool.Proxy, error) {
		return nil, proxylite.NewErrorLike(proxylite.ErrInvalidAppKey)
	}}, proxyliteotel.ForPool("a", tel.opts...))
	require.NoError(t, err)
	_, err = p.Get(t.Context())
	require.Error(t, err)
	require.NoError(t, p.Close())
	spans := tel.spans.GetSpans()
	require.Len(t, spans, 1)
	require.Equal(t, "api", attributes(spans[0])["error.type"])
	require.Equal(t, codes.Error, spans[0].Status.Code)
	require.Equal(t, map[string]int64{"error.type=api,proxylite.pool.name=a": 1}, tel.points(t, "proxylite.pool.fetch.duration"))
	require.Equal(t, map[string]int64{"proxylite.pool.name=a": 1}, tel.points(t, "proxylite.pool.stops"))
}
