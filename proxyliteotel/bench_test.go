package proxyliteotel_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxyliteotel"
)

// discard is an exporter that keeps nothing.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

// ways are those to watch a client: not at all, with the middleware of otelhttp alone, and
// with ForClient.
func ways(tb testing.TB) map[string]proxylite.Option {
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(discard{}))
	tb.Cleanup(func() { _ = tracers.Shutdown(context.Background()) })
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	return map[string]proxylite.Option{
		"none": nil,
		"otelhttp": proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return otelhttp.NewTransport(next, otelhttp.WithTracerProvider(tracers), otelhttp.WithMeterProvider(meters))
		}),
		"ForClient": proxyliteotel.ForClient(proxyliteotel.WithTracerProvider(tracers), proxyliteotel.WithMeterProvider(meters)),
	}
}

const listed = `{"code":0,"data":{"list":[{"id":1,"username":"pl-bob","status":1}]}}`

// inMemory is a transport without a network, so that nothing else is in the figures.
func inMemory() proxylite.Option {
	return proxylite.WithTransport(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(listed))}, nil
	}))
}

func list(tb testing.TB, opts ...proxylite.Option) func() {
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), opts...)
	require.NoError(tb, err)
	tb.Cleanup(client.CloseIdleConnections)
	return func() {
		if _, err := client.Accounts.List(context.Background()); err != nil {
			tb.Error(err)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, listed) }))
	b.Cleanup(api.Close)
	for network, over := range map[string]proxylite.Option{"loopback": proxylite.WithBaseURL(api.URL), "memory": inMemory()} {
		for way, with := range ways(b) {
			b.Run("network="+network+"/with="+way, func(b *testing.B) {
				call := list(b, over, with)
				b.ReportAllocs()
				for b.Loop() {
					call()
				}
			})
		}
	}
}

// Two spans and three metrics cost no more than the one span and the metrics of otelhttp.
// The benchmark has the time, which a test can't rely on.
func TestForClientAllocatesNoMoreThanOtelhttp(t *testing.T) { //nolint:paralleltest // the allocations of other tests would count
	allocs := map[string]float64{}
	for way, with := range ways(t) {
		allocs[way] = testing.AllocsPerRun(1000, list(t, inMemory(), with))
	}
	require.Less(t, allocs["none"], allocs["otelhttp"])
	require.LessOrEqual(t, allocs["ForClient"], 1.05*allocs["otelhttp"], "%v", allocs)
}
