package proxylite_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// A middleware may send at the same time, again, and after it has returned. The
// server reads a call that spends once, and the outcome is never wrong.
func TestNoMiddlewareSpendsTwice(t *testing.T) {
	t.Parallel()
	type try struct {
		resp *http.Response
		err  error
	}
	hedge := func(delay time.Duration) proxylite.Middleware {
		return func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				tries := make(chan try, 3)
				body := func() io.ReadCloser { return nil }
				if r.Body != nil {
					all, _ := io.ReadAll(r.Body)
					body = func() io.ReadCloser { return io.NopCloser(bytes.NewReader(all)) }
				}
				for range 3 {
					go func() {
						apitest.Pass(rand.N(delay))
						again := r.Clone(r.Context())
						again.Body = body()
						resp, err := next.RoundTrip(again)
						tries <- try{resp, err}
					}()
				}
				var last try
				for range 3 {
					if last = <-tries; last.err == nil {
						return last.resp, nil
					}
				}
				return nil, last.err
			})
		}
	}
	givesUp := func(after time.Duration) proxylite.Middleware {
		return func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				done := make(chan try, 1)
				go func() {
					apitest.Pass(rand.N(after))
					resp, err := next.RoundTrip(r)
					done <- try{resp, err}
				}()
				select {
				case d := <-done:
					return d.resp, d.err
				case <-time.After(rand.N(after)):
					return nil, errors.New("gave up")
				}
			})
		}
	}
	for name, m := range map[string]proxylite.Middleware{
		"hedges at once": hedge(time.Nanosecond), "hedges": hedge(time.Second), "gives up": givesUp(time.Second),
	} {
		for _, fails := range []bool{false, true} {
			for _, op := range apitest.UnsafeOperations() {
				synctest.Test(t, func(t *testing.T) {
					for range apitest.Repetitions(20, 500) {
						var read atomic.Int32
						s := apitest.Playing(func(r *http.Request) (*http.Response, error) {
							read.Add(1)
							apitest.Pass(rand.N(time.Second))
							if fails {
								return nil, io.ErrUnexpectedEOF
							}
							return apitest.Reply(200, apitest.Fixture(t, op.Name+".json"))(r)
						})
						_, err := op.Call(t.Context(), s.Client(t, proxylite.WithMiddleware(m)))
						apitest.Pass(time.Minute) // what still runs
						require.LessOrEqual(t, read.Load(), int32(1), "%s: paid twice", name)
						if err == nil {
							require.EqualValues(t, 1, read.Load())
						} else if apitest.AsError(t, err).Outcome == proxylite.OutcomeNotSent {
							require.Zero(t, read.Load(), "%s: %v", name, err)
						}
					}
				})
			}
		}
	}
}

// Invariant 2. Whatever happens to the connections, a call that spends is
// processed once. Without a guard net/http sends a GET again for each warm one.
func TestNothingIsPaidTwice(t *testing.T) {
	t.Parallel()
	const warm = 4
	var spent sync.Map // path → *atomic.Int32
	var together sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/end-point/user/info" { // keep them all busy, so that each opens a connection
			together.Done()
			together.Wait()
			_, _ = io.WriteString(w, apitest.Fine)
			return
		}
		n, _ := spent.LoadOrStore(r.URL.Path, new(atomic.Int32))
		n.(*atomic.Int32).Add(1)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}))
	t.Cleanup(server.Close)

	for _, op := range apitest.Operations {
		if op.Class != proxylite.ClassUnsafe {
			continue
		}
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL))
		require.NoError(t, err)
		together.Add(warm)
		var wg sync.WaitGroup
		for range warm {
			wg.Go(func() { _, _ = c.User.Info(t.Context()) })
		}
		wg.Wait()

		_, err = op.Call(t.Context(), c)
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown, op.Name)
		require.Equal(t, 1, apitest.AsError(t, err).Attempts, op.Name)
		n, ok := spent.Load("/end-point" + op.Path)
		require.True(t, ok, op.Name)
		require.EqualValues(t, 1, n.(*atomic.Int32).Load(), op.Name)
	}
}

// Neither may a middleware send it again, once it was out.
func TestMiddlewareCanNotSpendTwice(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		s := apitest.Playing(apitest.Reply(200, apitest.Fine))
		_, err := op.Call(t.Context(), s.Client(t, proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				first, err := next.RoundTrip(r)
				if err != nil || r.Body != nil && op.KeyInBody && op.Class != proxylite.ClassUnsafe {
					return first, err // its body is read
				}
				return next.RoundTrip(r)
			})
		})))
		if op.Class == proxylite.ClassUnsafe {
			require.ErrorContains(t, err, "must be sent once", op.Name)
			require.Len(t, s.Times, 1, op.Name)
		} else {
			require.NoError(t, err, op.Name)
		}
	}
}

// A call that spends goes on where nothing was sent, which only net/http's own
// transport can prove.
func TestSpendingGoesOnWhereNothingWasSent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, apitest.Fine) }))
	t.Cleanup(server.Close)
	for _, op := range apitest.Operations {
		for _, proven := range []bool{true, false} {
			var dials atomic.Int32
			tr := proxylite.NewTransport()
			tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if dials.Add(1) < 3 {
					return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
			var base http.RoundTripper = tr
			if !proven {
				base = apitest.RoundTripper(tr.RoundTrip)
			}
			c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL), proxylite.WithTransport(base),
				proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}))
			require.NoError(t, err)
			_, err = op.Call(t.Context(), c)
			if op.Class == proxylite.ClassUnsafe && !proven {
				require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown, op.Name)
				require.EqualValues(t, 1, dials.Load(), op.Name)
				continue
			}
			require.NoError(t, err, op.Name)
			require.EqualValues(t, 3, dials.Load(), op.Name)
			tr.CloseIdleConnections()
		}
	}
}
