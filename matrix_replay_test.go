package proxylite_test

import (
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// A call that spends is read once by the server, whatever then befalls the
// connection, new or warm, and its error says that the outcome is unknown.
func TestSpendingIsReadOnce(t *testing.T) {
	t.Parallel()
	apitest.Certificate()
	for _, f := range append(http1Faults, http2Faults...) {
		if !f.afterRead || f.clock || f.recovers || f.frames {
			continue
		}
		for _, f.warm = range []int{0, 1, 10} {
			// Ten TLS connections for a call take long; these are the faults after
			// which net/http would send again.
			if f.warm == 10 && f.over == over2 && apitest.Repetitions(0, 1) == 0 &&
				!strings.Contains("closed after the request was read, GOAWAY, last stream below the request, "+
					"RST_STREAM REFUSED_STREAM, RST_STREAM PROTOCOL_ERROR", f.name) {
				continue
			}
			for _, op := range append(apitest.Operations, textExtraction) {
				if op.Class != proxylite.ClassUnsafe {
					continue
				}
				t.Run(f.title()+"/"+op.Name, func(t *testing.T) {
					t.Parallel()
					for range apitest.Repetitions(1, 20) {
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
