package proxyliteprom_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxyliteprom"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestPool(t *testing.T) {
	t.Parallel()
	server := proxylitetest.NewServer(t)
	p, err := pool.New(pool.Extract(server.Client().IP, proxylite.IPExtractParams{Quantity: 3, Life: 30 * time.Minute}), pool.WithSize(1))
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	collector := proxyliteprom.NewPoolCollector("checkout", p)
	reg := registry(t, collector)
	lease, err := p.Get(t.Context())
	require.NoError(t, err)
	expect(t, reg, `
# HELP proxylite_pool_in_flight Leases and requests under way.
# TYPE proxylite_pool_in_flight gauge
proxylite_pool_in_flight{pool="checkout"} 1
# HELP proxylite_pool_proxies_spent_total Proxies paid for, with those of unknown outcome.
# TYPE proxylite_pool_proxies_spent_total counter
proxylite_pool_proxies_spent_total{pool="checkout"} 1
# HELP proxylite_pool_proxies Proxies of the pool, by state.
# TYPE proxylite_pool_proxies gauge
proxylite_pool_proxies{pool="checkout",state="live"} 1
proxylite_pool_proxies{pool="checkout",state="resting"} 0
`, "proxylite_pool_in_flight", "proxylite_pool_proxies_spent_total", "proxylite_pool_proxies")
	lease.Done(pool.Worked)
	require.NoError(t, p.Close())
	s := p.Stats()
	expect(t, reg, `
# HELP proxylite_pool_results_total Uses with a verdict: a request that was repeated counts each time.
# TYPE proxylite_pool_results_total counter
proxylite_pool_results_total{pool="checkout",result="failed"} 0
proxylite_pool_results_total{pool="checkout",result="worked"} 1
# HELP proxylite_pool_proxies_fetched_total Proxies that the source brought.
# TYPE proxylite_pool_proxies_fetched_total counter
proxylite_pool_proxies_fetched_total{pool="checkout"} `+strconv.FormatUint(s.Fetched, 10)+`
`, "proxylite_pool_results_total", "proxylite_pool_proxies_fetched_total")
}

// Two pools may share a registry.
func TestPoolsAreToldApart(t *testing.T) {
	t.Parallel()
	p, err := pool.New(pool.Fixed(proxylite.Endpoint{Host: "203.0.113.7", Port: 8080}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	reg := registry(t, proxyliteprom.NewPoolCollector("a", p), proxyliteprom.NewPoolCollector("b", p))
	_, err = reg.Gather()
	require.NoError(t, err)
	require.Error(t, reg.Register(proxyliteprom.NewPoolCollector("a", p)))
}
