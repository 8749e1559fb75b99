package proxyliteotel_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxyliteotel"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// telemetry is an OpenTelemetry of a test's own.
type telemetry struct {
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
	opts   []proxyliteotel.Option
}

func newTelemetry() *telemetry {
	tel := &telemetry{spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	tel.opts = []proxyliteotel.Option{
		proxyliteotel.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(tel.spans))),
		proxyliteotel.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(tel.reader))),
	}
	return tel
}

// points returns the values of a metric by its attributes; of a histogram, the counts.
func (tel *telemetry) points(t *testing.T, name string) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, tel.reader.Collect(context.Background(), &all))
	points := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					points[encode(p.Attributes)] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					points[encode(p.Attributes)] = int64(p.Count)
				}
			}
		}
	}
	return points
}

func encode(set attribute.Set) string { return set.Encoded(attribute.DefaultEncoder()) }

func attributes(span tracetest.SpanStub) map[string]any {
	all := map[string]any{}
	for _, a := range span.Attributes {
		all[string(a.Key)] = a.Value.AsInterface()
	}
	return all
}

func TestACallIsASpanWithItsAttempts(t *testing.T) {
	t.Parallel()
	tel := newTelemetry()
	server := proxylitetest.NewServer(t)
	server.FailNext("Usage.Daily", proxylitetest.Fault{Status: 503})
	client := server.Client(proxyliteotel.ForClient(tel.opts...))
	_, err := client.Usage.Daily(t.Context(), proxylite.UsageDailyParams{Username: "alice"})
	require.NoError(t, err)

	spans := tel.spans.GetSpans()
	require.Len(t, spans, 3)
	first, second, call := spans[0], spans[1], spans[2]
	require.Equal(t, "Usage.Daily", call.Name)
	require.Equal(t, trace.SpanKindInternal, call.SpanKind)
	require.Equal(t, codes.Unset, call.Status.Code)
	require.Equal(t, map[string]any{"proxylite.operation": "Usage.Daily", "proxylite.attempts": int64(2)}, attributes(call))

	host := strings.TrimPrefix(server.URL, "http://")
	common := func(more map[string]any) map[string]any {
		maps.Copy(more, map[string]any{
			"http.request.method": "GET", "url.template": "/end-point/user-usage-flow/total", "network.protocol.version": "1.1",
			"url.full": server.URL + "/end-point/user-usage-flow/total", "server.address": "127.0.0.1",
		})
		return more
	}
	for _, attempt := range []tracetest.SpanStub{first, second} {
		require.Equal(t, "GET /end-point/user-usage-flow/total", attempt.Name)
		require.Equal(t, trace.SpanKindClient, attempt.SpanKind)
		require.Equal(t, call.SpanContext.SpanID(), attempt.Parent.SpanID())
		require.Equal(t, call.SpanContext.TraceID(), attempt.SpanContext.TraceID())
	}
	one, two := attributes(first), attributes(second)
	require.Equal(t, host, "127.0.0.1:"+attribute.Int64Value(one["server.port"].(int64)).String())
	delete(one, "server.port")
	delete(two, "server.port")
	require.Equal(t, common(map[string]any{"http.response.status_code": int64(503), "error.type": "503"}), one)
	require.Equal(t, codes.Error, first.Status.Code)
	require.Equal(t, common(map[string]any{"http.response.status_code": int64(200), "http.request.resend_count": int64(1)}), two)
	require.Equal(t, codes.Unset, second.Status.Code)

	require.Equal(t, map[string]int64{"proxylite.operation=Usage.Daily": 1}, tel.points(t, "proxylite.client.call.duration"))
	require.Equal(t, map[string]int64{"proxylite.operation=Usage.Daily": 2}, tel.points(t, "proxylite.client.call.attempts"))
	require.Len(t, tel.points(t, "http.client.request.duration"), 2, "one for each status")
}

func TestAFailedCallSaysItsKindAndOutcome(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault         proxylitetest.Fault
		kind, outcome string
		attempt       string // its error.type
	}{
		"refused by the API":   {proxylitetest.Fault{Code: 3}, "api", "rejected", ""},
		"cut after the effect": {proxylitetest.Fault{Cut: true, After: true}, "transport", "unknown", "transport"},
		"an error page":        {proxylitetest.Fault{Status: 502}, "server", "unknown", "502"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tel := newTelemetry()
			server := proxylitetest.NewServer(t)
			server.FailNext("Orders.Create", test.fault)
			_, err := server.Client(proxyliteotel.ForClient(tel.opts...)).Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: new(int64(1))})
			require.Error(t, err)
			spans := tel.spans.GetSpans()
			require.Len(t, spans, 2)
			attempt, call := attributes(spans[0]), attributes(spans[1])
			require.Equal(t, test.kind, call["error.type"])
			require.Equal(t, test.outcome, call["proxylite.outcome"])
			require.Equal(t, codes.Error, spans[1].Status.Code)
			require.Equal(t, err.Error(), spans[1].Status.Description)
			if test.attempt == "" {
				require.NotContains(t, attempt, "error.type")
			} else {
				require.Equal(t, test.attempt, attempt["error.type"])
			}
			require.Equal(t, map[string]int64{"error.type=" + test.kind + ",proxylite.operation=Orders.Create,proxylite.outcome=" + test.outcome: 1},
				tel.points(t, "proxylite.client.call.duration"))
		})
	}
}

// A call that sends nothing has a span and no attempt.
func TestInvalidInputIsACallWithoutAttempts(t *testing.T) {
	t.Parallel()
	tel := newTelemetry()
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), proxyliteotel.ForClient(tel.opts...))
	require.NoError(t, err)
	_, err = client.IP.Extract(t.Context(), proxylite.IPExtractParams{})
	require.ErrorIs(t, err, proxylite.ErrInvalidInput)
	require.Len(t, tel.spans.GetSpans(), 1)
	require.Equal(t, map[string]int64{"error.type=input,proxylite.operation=IP.Extract,proxylite.outcome=not_sent": 1},
		tel.points(t, "proxylite.client.call.duration"))
}

// The vendor gets neither the trace nor the baggage of the caller.
func TestNoTraceContextIsSent(t *testing.T) {
	t.Parallel()
	header := make(chan http.Header, 1)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header <- r.Header
		_, _ = w.Write([]byte(`{"code":0,"data":{"list":[]}}`))
	}))
	t.Cleanup(api.Close)
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), proxylite.WithBaseURL(api.URL), proxyliteotel.ForClient(newTelemetry().opts...))
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	member, err := baggage.NewMember("user", "bob")
	require.NoError(t, err)
	bag, err := baggage.New(member)
	require.NoError(t, err)
	_, err = client.Accounts.List(baggage.ContextWithBaggage(t.Context(), bag))
	require.NoError(t, err)
	got := <-header
	for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
		require.NotContains(t, got, name)
	}
}

// The last byte ends the span of an attempt, not the header.
func TestTheSpanOfAnAttemptHasTheBody(t *testing.T) {
	t.Parallel()
	tel := newTelemetry()
	broken := errors.New("the body broke")
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 1}),
		proxyliteotel.ForClient(tel.opts...),
		proxylite.WithMiddleware(func(http.RoundTripper) http.RoundTripper {
			return roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: brokenBody{broken}}, nil
			})
		}))
	require.NoError(t, err)
	_, err = client.Accounts.List(t.Context())
	require.Error(t, err)
	spans := tel.spans.GetSpans()
	require.Len(t, spans, 2)
	require.Equal(t, codes.Error, spans[0].Status.Code)
	require.Equal(t, broken.Error(), spans[0].Status.Description)
	require.Equal(t, int64(200), attributes(spans[0])["http.response.status_code"])
}

// More operations than are remembered are counted, too.
func TestManyOperations(t *testing.T) {
	t.Parallel()
	tel := newTelemetry()
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), inMemory(), proxyliteotel.ForClient(tel.opts...))
	require.NoError(t, err)
	for range 2 {
		for i := range 1200 {
			name := strconv.Itoa(i)
			_, err := proxylite.Call[any](t.Context(), client, proxylite.Operation{Name: name, Method: http.MethodGet, Path: "/" + name, Class: proxylite.ClassSafe}, nil, nil)
			require.NoError(t, err)
		}
	}
	for _, metric := range []string{"proxylite.client.call.duration", "proxylite.client.call.attempts", "http.client.request.duration"} {
		points := tel.points(t, metric)
		require.Len(t, points, 1200, metric)
		for which, n := range points {
			require.EqualValues(t, 2, n, which)
		}
	}
}

// A middleware below sees the span of the attempt.
func TestAnAttemptIsTheParentOfWhatIsBelow(t *testing.T) {
	t.Parallel()
	tel := newTelemetry()
	var below trace.SpanContext
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), inMemory(), proxyliteotel.ForClient(tel.opts...),
		proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				below = trace.SpanContextFromContext(r.Context())
				return next.RoundTrip(r)
			})
		}))
	require.NoError(t, err)
	_, err = client.Accounts.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, tel.spans.GetSpans()[0].SpanContext.SpanID(), below.SpanID())
}

type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }
func (b brokenBody) Close() error             { return nil }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
