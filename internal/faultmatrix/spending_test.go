package faultmatrix_test

import (
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// A call that spends is read once by the server, whatever then befalls the
// connection, new or warm, and its error says that the outcome is unknown.
func TestSpendingIsReadOnce(t *testing.T) {
	t.Parallel()
	apitest.Certificate()
	for _, f := range http1Faults { // a call that spends goes over HTTP/1.1
		if !f.afterRead || f.virtual || f.recovers {
			continue
		}
		for _, f.warm = range []int{0, 1, 10} {
			for _, op := range apitest.UnsafeOperations() {
				t.Run(f.title()+"/"+op.Name, func(t *testing.T) {
					t.Parallel()
					for range apitest.Repetitions(1, 20) {
						got := f.measure(t, op)
						require.Equal(t, 1, got.read)
						require.Equal(t, 1, got.attempts)
						require.True(t, got.kind == "" || got.outcome == proxylite.OutcomeUnknown)
					}
				})
			}
		}
	}
}

// A server that closes an idle connection just as a call goes out on it.
func TestStaleConnections(t *testing.T) {
	t.Parallel()
	s := newSite(t, apitest.Operations[0], false)
	s.accept(s.listen(), func(conn net.Conn) {
		s.serveH1(conn, nil, func(s *site, conn net.Conn) bool {
			well1(s, conn)
			time.AfterFunc(time.Duration(rand.IntN(300))*time.Microsecond, func() { _ = conn.Close() })
			return true
		})
	})
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(s.transport), proxylite.WithBaseURL(s.url))
	require.NoError(t, err)
	lost, ended := 0, map[string]error{}
	for i := range apitest.Repetitions(20, 300) {
		for _, op := range apitest.Operations {
			if op.Class != proxylite.ClassUnsafe {
				continue
			}
			// The call before has left a connection that is about to close.
			_, _ = proxylite.Call[any](t.Context(), c, proxylite.Operation{Name: "Before", Method: "GET", Path: "/before", Class: proxylite.ClassSafe}, nil, nil)
			id := op.Name + strconv.Itoa(i)
			_, ended[id] = op.Call(t.Context(), c, proxylite.CallQuery("call", id))
		}
	}
	s.transport.CloseIdleConnections()
	s.hangUp()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, err := range ended {
		require.LessOrEqual(t, s.byCall[id], 1, "%s was paid twice", id)
		// The documented answer here is that of another operation, so some fail by it.
		if err == nil || apitest.AsError(t, err).Status == 200 {
			require.Equal(t, 1, s.byCall[id], id)
			continue
		}
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
		lost++
	}
	t.Logf("%d calls met a connection that closed", lost)
}

// A storm of connections that close, before and after they have read, cut and reset.
// No call that spends is read twice, none that was read says that it was not sent,
// and few that were not read say that they may have been.
func TestAStormOfResets(t *testing.T) {
	t.Parallel()
	for _, over := range []string{"http", "https"} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, apitest.Operations[0], false)
			var ln net.Listener
			if over == "https" {
				ln = s.listen("h2", "http/1.1")
			} else {
				ln = s.listen()
			}
			s.accept(ln, func(conn net.Conn) {
				if c, ok := conn.(*tls.Conn); ok {
					if rand.IntN(4) == 0 || c.Handshake() != nil {
						return
					}
					if c.ConnectionState().NegotiatedProtocol == http2.NextProtoTLS {
						return
					}
				}
				switch rand.IntN(5) {
				case 0: // closed before it reads
					return
				case 1:
					reset(conn)
					return
				}
				s.serveH1(conn, nil, func(s *site, conn net.Conn) bool {
					switch rand.IntN(4) {
					case 0:
						return false
					case 1:
						reset(conn)
						return false
					case 2:
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Le")
						return false
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(apitest.Fine))+"\r\n\r\n"+apitest.Fine)
					return false
				})
			})
			s.before = func() {} // the storm does not end the calls
			c := apitest.Client(t, s.transport, s.url, proxylite.WithRetry(proxylite.RetryPolicy{MinBackoff: 1, MaxBackoff: 1, Budget: -1}))
			op := proxylite.Operation{Name: "Spend", Method: "GET", Path: "/spend"}
			var mu sync.Mutex
			ended := map[string]error{}
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := range apitest.Repetitions(100, 6250) {
						id := strconv.Itoa(w) + "-" + strconv.Itoa(i)
						_, err := proxylite.Call[any](t.Context(), c, op, url.Values{"call": {id}}, nil)
						mu.Lock()
						ended[id] = err
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			s.hangUp()
			s.mu.Lock()
			defer s.mu.Unlock()
			unread := 0
			for id, err := range ended {
				read := s.byCall[id]
				require.LessOrEqual(t, read, 1, "paid twice")
				switch {
				case err == nil:
					require.Equal(t, 1, read)
				case apitest.AsError(t, err).Outcome == proxylite.OutcomeNotSent:
					require.Zero(t, read, "%v", err)
				case read == 0:
					unread++
				}
			}
			t.Logf("%d of %d calls are unknown though nothing was read (%.1f %%)", unread, len(ended), 100*float64(unread)/float64(len(ended)))
		})
	}
}
