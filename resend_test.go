package proxylite_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// When a server ends a TLS connection before the request is written, all that the
// client writes on it is the alert that says goodbye. That is no request.
func TestAnAlertIsNoRequest(t *testing.T) {
	t.Parallel()
	server := apitest.TLSServer(t, nil)
	for _, op := range apitest.UnsafeOperations() {
		tr := apitest.TrustingTransport()
		closed := make(chan struct{})
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &leaving{Conn: conn, closed: closed}, err
		}
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { <-closed }, // net/http writes the request after this
		})
		_, err := op.Call(ctx, apitest.Client(t, tr, server.URL, apitest.TryOnce))
		require.Equal(t, proxylite.OutcomeNotSent, apitest.AsError(t, err).Outcome, "%s: %v", op.Name, err)
	}
}

// leaving is a connection whose other end leaves once the handshake is over.
type leaving struct {
	net.Conn
	written int
	once    sync.Once
	closed  chan struct{}
}

func (l *leaving) Write(p []byte) (int, error) {
	l.written++
	return l.Conn.Write(p)
}

func (l *leaving) Read(p []byte) (int, error) {
	if l.written > 1 { // ClientHello, Finished
		return 0, errors.New("connection reset by peer")
	}
	return l.Conn.Read(p)
}

func (l *leaving) Close() error {
	defer l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}
