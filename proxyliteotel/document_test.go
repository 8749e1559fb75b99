package proxyliteotel_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxyliteotel"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

var update = flag.Bool("update", false, "write what is made from the code into docs/metrics.md")

// docs/metrics.md has the list of metrics that the code makes; go test -run
// TestMetricsDocument -update writes it.
func TestMetricsDocument(t *testing.T) {
	t.Parallel()
	const path = "../docs/metrics.md"
	const begin, end = "<!-- made from proxyliteotel: metrics -->\n", "<!-- end of OpenTelemetry metrics -->"
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(b), begin)
	require.True(t, ok, "%s has no %s", path, begin)
	old, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "%s has no %s", path, end)
	made := metricTable(t, everything(t))
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(before+begin+made+end+after), 0o600))
		return
	}
	require.Equal(t, made, old, "go test -run TestMetricsDocument -update in proxyliteotel writes it")
}

// everything returns metrics of all that is reported: calls that fail and succeed, and a
// pool whose session moves, whose proxies end, and which stops.
func everything(t *testing.T) metricdata.ResourceMetrics {
	tel := newTelemetry()
	server := proxylitetest.NewServer(t)
	client := server.Client(proxyliteotel.ForClient(tel.opts...))
	server.FailNext("Accounts.List", proxylitetest.Fault{Status: 400})
	_, err := client.Accounts.List(t.Context())
	require.Error(t, err)

	fetches := 0
	p, err := pool.New(pool.Source{Costs: true, Size: 1, Fetch: func(ctx context.Context, need int) ([]pool.Proxy, error) {
		if fetches++; fetches > 2 {
			return nil, proxylite.NewErrorLike(proxylite.ErrInvalidAppKey)
		}
		extracted, err := client.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 1})
		return []pool.Proxy{{Endpoint: extracted.Endpoints[0], Expires: time.Now().Add(time.Hour)}}, err
	}}, proxyliteotel.ForPool("a", tel.opts...))
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	watched, err := proxyliteotel.WatchPool("a", p, tel.opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = watched.Unregister() })
	ctx := pool.WithSession(t.Context(), "s")
	for err == nil {
		var lease *pool.Lease
		if lease, err = p.Get(ctx); err == nil {
			lease.Done(pool.Dead)
		}
	}
	var all metricdata.ResourceMetrics
	require.NoError(t, tel.reader.Collect(context.Background(), &all))
	return all
}

func metricTable(t *testing.T, all metricdata.ResourceMetrics) string {
	rows := map[string]string{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			kind, sets := "", []attribute.Set{}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				if kind = "up-down counter"; data.IsMonotonic {
					kind = "counter"
				}
				for _, p := range data.DataPoints {
					sets = append(sets, p.Attributes)
				}
			case metricdata.Histogram[float64]:
				kind = "histogram"
				for _, p := range data.DataPoints {
					sets = append(sets, p.Attributes)
				}
			}
			require.NotEmpty(t, kind, m.Name)
			keys := map[string]bool{}
			for _, set := range sets {
				for _, a := range set.ToSlice() {
					keys["`"+string(a.Key)+"`"] = true
				}
			}
			rows[m.Name] = fmt.Sprintf("| `%s` | %s, %s | %s | %s |\n", m.Name, kind, m.Unit, strings.Join(slices.Sorted(maps.Keys(keys)), ", "), m.Description)
		}
	}
	require.Len(t, rows, 3+5+10, "%v", rows)
	out := "\n| Metric | Type, unit | Attributes | |\n|---|---|---|---|\n"
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		out += rows[name]
	}
	return out + "\n"
}
