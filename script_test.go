package proxylite_test

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

// pass lets time go by; within synctest it costs none.
func pass(d time.Duration) { <-time.After(d) }

// script answers the attempts of a call in turn, the last entry again and again,
// and remembers when they came.
type script struct {
	steps  []func(*http.Request) (*http.Response, error)
	mu     sync.Mutex
	times  []time.Time
	bodies []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	n := len(s.times)
	s.times = append(s.times, time.Now())
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		s.bodies = append(s.bodies, string(b))
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	s.mu.Unlock()
	return s.steps[min(n, len(s.steps)-1)](r)
}

// waits are the times between the attempts.
func (s *script) waits() []time.Duration {
	out := []time.Duration{}
	for i := 1; i < len(s.times); i++ {
		out = append(out, s.times[i].Sub(s.times[i-1]))
	}
	return out
}

func (s *script) client(t *testing.T, opts ...proxylite.Option) *proxylite.Client {
	t.Helper()
	c, err := proxylite.NewClient(proxylite.AppKey(testKey), append([]proxylite.Option{proxylite.WithTransport(s)}, opts...)...)
	require.NoError(t, err)
	return c
}

// reply is a step; headers are name, value.
func reply(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		resp := httpmock.NewStringResponse(status, body)
		for i := 0; i+1 < len(headers); i += 2 {
			resp.Header.Set(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

func breaks(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// hangs is a step that ends with the attempt.
func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

const fine = `{"code":200,"data":{"id":1,"list":[]}}`

func playing(steps ...func(*http.Request) (*http.Response, error)) *script {
	return &script{steps: steps}
}

// unclear is the outcome of an operation that may have reached the server.
func unclear(op operation) proxylite.Outcome {
	if op.repeat == proxylite.ClassSafe {
		return proxylite.OutcomeSafe
	}
	return proxylite.OutcomeUnknown
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type limiterFunc func(context.Context) error

func (f limiterFunc) Wait(ctx context.Context) error { return f(ctx) }

// recordQueries keeps the query of every attempt, without the credential.
func recordQueries(to *[]string) proxylite.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			*to = append(*to, r.URL.RawQuery)
			return next.RoundTrip(r)
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// atEnd observes the end of calls.
func atEnd(f func(context.Context, proxylite.CallInfo)) proxylite.Observer {
	return func(ctx context.Context, _ proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
		return ctx, func(info proxylite.CallInfo) { f(ctx, info) }
	}
}
