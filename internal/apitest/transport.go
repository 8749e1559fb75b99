package apitest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
)

// Script is a transport that plays one step for each attempt, the last one again and
// again, and remembers when the attempts came and with which bodies.
type Script struct {
	Steps  []func(*http.Request) (*http.Response, error)
	mu     sync.Mutex
	Times  []time.Time
	Bodies []string
}

// RoundTrip implements http.RoundTripper.
func (s *Script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	n := len(s.Times)
	s.Times = append(s.Times, time.Now())
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		s.Bodies = append(s.Bodies, string(b))
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	s.mu.Unlock()
	return s.Steps[min(n, len(s.Steps)-1)](r)
}

// Waits are the times between the attempts.
func (s *Script) Waits() []time.Duration {
	out := []time.Duration{}
	for i := 1; i < len(s.Times); i++ {
		out = append(out, s.Times[i].Sub(s.Times[i-1]))
	}
	return out
}

// Client returns a client over the script.
func (s *Script) Client(t *testing.T, opts ...proxylite.Option) *proxylite.Client {
	t.Helper()
	c, err := proxylite.NewClient(proxylite.AppKey(Key), append([]proxylite.Option{proxylite.WithTransport(s)}, opts...)...)
	require.NoError(t, err)
	return c
}

// Reply is a step that returns a response; headers are name, value.
func Reply(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		resp := httpmock.NewStringResponse(status, body)
		for i := 0; i+1 < len(headers); i += 2 {
			resp.Header.Set(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

// Breaks is a step that fails with err.
func Breaks(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// Hangs is a step that ends with the attempt.
func Hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// Playing returns a script of steps.
func Playing(steps ...func(*http.Request) (*http.Response, error)) *Script {
	return &Script{Steps: steps}
}

// Pass lets time go by; within synctest it costs none.
func Pass(d time.Duration) { <-time.After(d) }

// ReaderFunc is an io.Reader.
type ReaderFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f ReaderFunc) Read(p []byte) (int, error) { return f(p) }

// LimiterFunc is a proxylite.Limiter.
type LimiterFunc func(context.Context) error

// Wait implements proxylite.Limiter.
func (f LimiterFunc) Wait(ctx context.Context) error { return f(ctx) }

// RecordQueries keeps the query of every attempt, without the credential.
func RecordQueries(to *[]string) proxylite.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return RoundTripper(func(r *http.Request) (*http.Response, error) {
			*to = append(*to, r.URL.RawQuery)
			return next.RoundTrip(r)
		})
	}
}

// RoundTripper is an http.RoundTripper.
type RoundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f RoundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// AtEnd observes the end of calls.
func AtEnd(f func(context.Context, proxylite.CallInfo)) proxylite.Observer {
	return func(ctx context.Context, _ proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
		return ctx, func(info proxylite.CallInfo) { f(ctx, info) }
	}
}
