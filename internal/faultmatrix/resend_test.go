package faultmatrix_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// What net/http sends again by itself counts as an attempt: the server never reads
// more requests of a call than the policy allows, on connections that had served
// before as well.
func TestNetHTTPSendsNoMoreThanThePolicyAllows(t *testing.T) {
	t.Parallel()
	apitest.Certificate()
	for _, f := range []wireFault{
		warm(8, after1("closed after the request was read", closes)),
		warm(8, after1("reset after the request was read", resets)),
		after2("GOAWAY, last stream below the request", goAway(-1, stays2)),
		after2("RST_STREAM REFUSED_STREAM", rst(http2.ErrCodeRefusedStream)),
		after2("RST_STREAM PROTOCOL_ERROR", rst(http2.ErrCodeProtocol)),
	} {
		for _, attempts := range []int{1, 2} {
			t.Run(f.title(), func(t *testing.T) {
				t.Parallel()
				times := apitest.Repetitions(10, 100)
				if f.over == over2 {
					times = 1 // net/http waits a second before it sends a second time
				}
				for range times {
					s := newSite(t, apitest.Operations[0], false)
					f.set(s)
					c := apitest.Client(t, s.transport, s.url, proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: attempts, MinBackoff: 1, MaxBackoff: 1}))
					s.warm(f.warm, func() error {
						_, err := proxylite.Call[any](t.Context(), c, proxylite.Operation{Method: "GET", Path: "/warm", Class: proxylite.ClassSafe}, nil, nil)
						return err
					})
					_, err := c.Accounts.List(t.Context())
					require.Equal(t, attempts, apitest.AsError(t, err).Attempts, "%v", err)
					s.transport.CloseIdleConnections()
					if f.over == over1 {
						s.serving.Wait() // what was written has been read
					}
					require.EqualValues(t, attempts, s.read.Load(), "%v", err)
				}
			})
		}
	}
}

// A retry of net/http takes from the budget what one of the client does, unless the
// server gave the request back.
func TestTheBudgetBoundsNetHTTPToo(t *testing.T) {
	t.Parallel()
	s := newSite(t, apitest.Operations[0], false)
	f := warm(2, after1("closed after the request was read", closes))
	f.set(s)
	c := apitest.Client(t, s.transport, s.url, proxylite.WithRetry(proxylite.RetryPolicy{Budget: 1, MinBackoff: 1, MaxBackoff: 1, MaxAttempts: 9}))
	s.warm(2, func() error {
		_, err := proxylite.Call[any](t.Context(), c, proxylite.Operation{Method: "GET", Path: "/warm", Class: proxylite.ClassSafe}, nil, nil)
		return err
	})
	_, err := c.Accounts.List(t.Context())
	require.ErrorIs(t, err, proxylite.ErrRetryBudget)
	require.EqualValues(t, 2, s.read.Load())
}

// A server that gives requests back while it answers others has reached a limit. That
// is no attempt, up to five times. If it answers nobody, it is.
func TestRequestsGivenBackBesideOthers(t *testing.T) {
	t.Parallel()
	apitest.Certificate()
	for others, want := range map[bool]int{true: 6, false: 2} { // the first is sent again at once, before others succeed
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, apitest.Operations[0], true)
			after2("RST_STREAM REFUSED_STREAM", rst(http2.ErrCodeRefusedStream)).set(s)
			c := apitest.Client(t, s.transport, s.url, proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 2, MinBackoff: time.Second, MaxBackoff: time.Second}))
			s.arrived, s.release = make(chan struct{}, 10000), make(chan struct{})
			close(s.release) // a warm-up is answered at once
			other := func() {
				_, err := proxylite.Call[any](t.Context(), c, proxylite.Operation{Method: "GET", Path: "/warm", Class: proxylite.ClassSafe}, nil, nil)
				assert.NoError(t, err)
			}
			other()
			var wg sync.WaitGroup
			over := make(chan struct{})
			wg.Go(func() {
				for others {
					select {
					case <-over:
						return
					case <-time.After(10 * time.Millisecond):
						other()
					}
				}
			})
			_, err := c.Accounts.List(t.Context())
			close(over)
			wg.Wait()
			require.Equal(t, 2, apitest.AsError(t, err).Attempts, "%v", err)
			require.EqualValues(t, want, s.read.Load())
		})
	}
}
