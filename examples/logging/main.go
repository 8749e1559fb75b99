// Command logging shows three ways to observe a client: a logger, a middleware that sees
// each attempt, and an observer for metrics. None of them sees the credential.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/examples/internal/start"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if err := run(context.Background(), log); err != nil {
		fmt.Fprintln(os.Stderr, "logging:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger) error {
	metrics := &metrics{byOperation: map[string]*counts{}}
	api, err := start.Open(os.Stdout,
		proxylite.WithLogger(log),                    // a line for each call
		proxylite.WithMiddleware(logAttempts(log)),   // a line for each attempt
		proxylite.WithObserver(metrics.observe),      // a count for each call
		proxylite.WithUserAgent("logging-example/1"), // for the server's log
	)
	if err != nil {
		return err
	}
	defer api.Close()
	if api.Demo != nil { // make the first attempt fail
		api.Demo.FailNext("Accounts.List", proxylitetest.Fault{Status: http.StatusServiceUnavailable})
	}

	// All attempts of calls with this context have its request ID.
	ctx = withRequestID(ctx, rand.Text()[:8])
	accounts, err := api.Accounts.List(ctx)
	if err != nil {
		return err
	}
	// Passwords of accounts are redacted in logs.
	for _, a := range accounts[:min(2, len(accounts))] {
		log.InfoContext(ctx, "account", "account", a)
	}
	if _, err := api.Orders.List(ctx, proxylite.OrderListParams{}); err != nil {
		return err
	}
	if _, err := api.IP.SearchStates(ctx, "USA"); err != nil {
		log.InfoContext(ctx, "an error logs its parts", "error", err)
	}
	metrics.print()
	return nil
}

type requestIDKey struct{}

func withRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// logAttempts logs each attempt and its duration, and adds the request ID of the context
// as a header. It runs before the credential is added. It logs the path without the query,
// which may have account names.
func logAttempts(log *slog.Logger) proxylite.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			ctx := req.Context()
			id, _ := ctx.Value(requestIDKey{}).(string)
			req = req.Clone(ctx) // a RoundTripper must not change the request
			req.Header.Set("X-Request-Id", id)

			began := time.Now()
			resp, err := next.RoundTrip(req)
			attrs := []slog.Attr{
				slog.String("request_id", id), slog.String("method", req.Method), slog.String("path", req.URL.Path),
				slog.Duration("duration", time.Since(began)),
			}
			if err != nil {
				log.LogAttrs(ctx, slog.LevelWarn, "attempt failed", append(attrs, slog.Any("error", err))...)
				return nil, err
			}
			log.LogAttrs(ctx, slog.LevelDebug, "attempt", append(attrs, slog.Int("status", resp.StatusCode))...)
			return resp, nil
		})
	}
}

// metrics counts calls. A service would use Prometheus or OpenTelemetry. The labels have
// few values.
type metrics struct {
	mu          sync.Mutex
	byOperation map[string]*counts
}

type counts struct {
	calls, failures, retries int
	time                     time.Duration
}

func (m *metrics) observe(ctx context.Context, _ proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
	return ctx, m.count // to trace calls, start a span here and return its context
}

func (m *metrics) count(info proxylite.CallInfo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.byOperation[info.Operation]
	if c == nil {
		c = &counts{}
		m.byOperation[info.Operation] = c
	}
	c.calls++
	c.retries += max(0, info.Attempts-1)
	c.time += info.Duration
	if info.Err != nil {
		c.failures++
	}
}

func (m *metrics) print() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, operation := range slices.Sorted(maps.Keys(m.byOperation)) {
		c := m.byOperation[operation]
		fmt.Printf("%-16s %d calls, %d failed, %d retries, %s\n", operation, c.calls, c.failures, c.retries, c.time.Round(time.Microsecond))
	}
}
