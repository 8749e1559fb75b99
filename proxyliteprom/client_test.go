package proxyliteprom_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxyliteprom"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// registry returns a registry of the collectors that checks what they send.
func registry(t *testing.T, collectors ...prometheus.Collector) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		require.NoError(t, reg.Register(c))
	}
	return reg
}

func expect(t *testing.T, reg *prometheus.Registry, want string, names ...string) {
	t.Helper()
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(want), names...))
}

func TestClient(t *testing.T) {
	t.Parallel()
	server := proxylitetest.NewServer(t)
	calls := proxyliteprom.NewClientCollector()
	reg := registry(t, calls)
	expect(t, reg, `
# HELP proxylite_client_unknown_outcomes_total Calls that may have taken effect, although they failed: look before you repeat them.
# TYPE proxylite_client_unknown_outcomes_total counter
proxylite_client_unknown_outcomes_total 0
`, "proxylite_client_unknown_outcomes_total", "proxylite_client_retry_budget", "proxylite_client_calls_total")

	client := server.Client(calls.Option(), proxylite.WithRetry(proxylite.RetryPolicy{Budget: 5, MinBackoff: 1, MaxBackoff: 1}))
	calls.WatchBudget(client)
	server.FailNext("Accounts.List", proxylitetest.Fault{Status: http.StatusServiceUnavailable})
	_, err := client.Accounts.List(t.Context())
	require.NoError(t, err)
	server.FailNext("Orders.Create", proxylitetest.Fault{Cut: true, After: true})
	_, err = client.Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: new(int64(1))})
	require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
	_, err = client.IP.Extract(t.Context(), proxylite.IPExtractParams{})
	require.ErrorIs(t, err, proxylite.ErrInvalidInput)

	expect(t, reg, `
# HELP proxylite_client_attempts_total Attempts of calls that have ended, with requests that net/http sent again.
# TYPE proxylite_client_attempts_total counter
proxylite_client_attempts_total{operation="Accounts.List"} 2
proxylite_client_attempts_total{operation="IP.Extract"} 0
proxylite_client_attempts_total{operation="Orders.Create"} 1
# HELP proxylite_client_calls_in_flight Calls under way.
# TYPE proxylite_client_calls_in_flight gauge
proxylite_client_calls_in_flight 0
# HELP proxylite_client_calls_total Calls that have ended.
# TYPE proxylite_client_calls_total counter
proxylite_client_calls_total{operation="Accounts.List"} 1
proxylite_client_calls_total{operation="IP.Extract"} 1
proxylite_client_calls_total{operation="Orders.Create"} 1
# HELP proxylite_client_failures_total Calls that failed, by the kind of the failure and by what became of the call.
# TYPE proxylite_client_failures_total counter
proxylite_client_failures_total{kind="input",operation="IP.Extract",outcome="not_sent"} 1
proxylite_client_failures_total{kind="transport",operation="Orders.Create",outcome="unknown"} 1
# HELP proxylite_client_retry_budget Retries left in the budget that all calls share; absent if it has no limit.
# TYPE proxylite_client_retry_budget gauge
proxylite_client_retry_budget 4
# HELP proxylite_client_unknown_outcomes_total Calls that may have taken effect, although they failed: look before you repeat them.
# TYPE proxylite_client_unknown_outcomes_total counter
proxylite_client_unknown_outcomes_total 1
`, "proxylite_client_attempts_total", "proxylite_client_calls_total", "proxylite_client_calls_in_flight", "proxylite_client_failures_total",
		"proxylite_client_retry_budget", "proxylite_client_unknown_outcomes_total")
	require.Equal(t, 3, testutil.CollectAndCount(calls, "proxylite_client_call_duration_seconds"))
}

func TestTheRetryBudget(t *testing.T) {
	t.Parallel()
	server := proxylitetest.NewServer(t)
	calls := proxyliteprom.NewClientCollector()
	client := server.Client(calls.Option(), proxylite.WithRetry(proxylite.RetryPolicy{Budget: 1, MinBackoff: 1, MaxBackoff: 1}))
	down := proxylitetest.Fault{Status: http.StatusServiceUnavailable}
	server.FailNext("Accounts.List", down, down)
	_, err := client.Accounts.List(t.Context())
	require.ErrorIs(t, err, proxylite.ErrRetryBudget)
	require.InDelta(t, 1, testutil.ToFloat64(only{calls, "proxylite_client_retry_budget_spent_total"}), 0)

	calls.WatchBudget(server.Client(proxylite.WithRetry(proxylite.RetryPolicy{Budget: -1})))
	require.Zero(t, testutil.CollectAndCount(calls, "proxylite_client_retry_budget"), "what has no limit has no series")
}

// only is one metric of a collector.
type only struct {
	prometheus.Collector
	name string
}

func (o only) Collect(metrics chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric)
	go func() { o.Collector.Collect(all); close(all) }()
	for m := range all {
		if strings.Contains(m.Desc().String(), `"`+o.name+`"`) {
			metrics <- m
		}
	}
}

// An operation of proxylite.Call may have any name.
func TestAnOddNameOfAnOperation(t *testing.T) {
	t.Parallel()
	calls := proxyliteprom.NewClientCollector()
	client := proxylitetest.NewServer(t).Client(calls.Option())
	_, err := proxylite.Call[any](t.Context(), client, proxylite.Operation{Name: "a\xff", Method: http.MethodGet, Path: "/nowhere"}, nil, nil)
	require.Error(t, err)
	_, err = registry(t, calls).Gather()
	require.NoError(t, err)
}
