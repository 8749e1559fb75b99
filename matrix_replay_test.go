package proxylite_test

import (
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
)

// repetitions of what depends on luck; PROXYLITE_LONG=1 is for the long run.
func repetitions(short, long int) int {
	if os.Getenv("PROXYLITE_LONG") != "" {
		return long
	}
	return short
}

// A call that spends is read once by the server, whatever then befalls the
// connection, new or warm, and its error says that the outcome is unknown.
func TestSpendingIsReadOnce(t *testing.T) {
	t.Parallel()
	certificate()
	for _, f := range append(http1Faults, http2Faults...) {
		if !f.afterRead || f.clock || f.recovers || f.frames {
			continue
		}
		for _, f.warm = range []int{0, 1, 10} {
			// Ten TLS connections for a call take long; these are the faults after
			// which net/http would send again.
			if f.warm == 10 && f.over == over2 && repetitions(0, 1) == 0 &&
				!strings.Contains("closed after the request was read, GOAWAY, last stream below the request, "+
					"RST_STREAM REFUSED_STREAM, RST_STREAM PROTOCOL_ERROR", f.name) {
				continue
			}
			for _, op := range append(operations, textExtraction) {
				if op.repeat != proxylite.ClassUnsafe {
					continue
				}
				t.Run(f.title()+"/"+op.name, func(t *testing.T) {
					t.Parallel()
					for range repetitions(1, 20) {
						got := f.measure(t, op)
						require.Equal(t, 1, got.read)
						require.Equal(t, 1, got.tries)
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
	s := newSite(t, operations[0], false)
	s.accept(s.listen(), func(conn net.Conn) {
		s.serveH1(conn, nil, func(s *site, conn net.Conn) bool {
			well1(s, conn)
			time.AfterFunc(time.Duration(rand.IntN(300))*time.Microsecond, func() { _ = conn.Close() })
			return true
		})
	})
	c, err := proxylite.NewClient(proxylite.AppKey(testKey), proxylite.WithTransport(s.transport), proxylite.WithBaseURL(s.url))
	require.NoError(t, err)
	lost, ended := 0, map[string]error{}
	for i := range repetitions(20, 300) {
		for _, op := range operations {
			if op.repeat != proxylite.ClassUnsafe {
				continue
			}
			// The call before has left a connection that is about to close.
			_, _ = proxylite.Call[any](t.Context(), c, proxylite.Operation{Name: "Before", Method: "GET", Path: "/before", Class: proxylite.ClassSafe}, nil, nil)
			id := op.name + strconv.Itoa(i)
			_, ended[id] = op.call(t.Context(), c, proxylite.CallQuery("call", id))
		}
	}
	s.transport.CloseIdleConnections()
	s.hangUp()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, err := range ended {
		require.LessOrEqual(t, s.byCall[id], 1, "%s was paid twice", id)
		// The documented answer here is that of another operation, so some fail by it.
		if err == nil || asError(t, err).Status == 200 {
			require.Equal(t, 1, s.byCall[id], id)
			continue
		}
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
		lost++
	}
	t.Logf("%d calls met a connection that closed", lost)
}
