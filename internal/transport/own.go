package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
)

// ownTransport returns a transport that gives each request a fresh HTTP/1.1
// connection, which it closes after the response. net/http sends nothing again on
// a connection that it does not reuse, no response to another request can be taken
// for that of this one, and the connection can tell whether anything was written.
//
// It is a clone of t, with its proxy, dialer and TLS configuration, or nil where a
// clone would not do what t does: then t counts as foreign.
func ownTransport(t *http.Transport) *http.Transport {
	if runtime.GOOS == "js" {
		return nil // requests go through the browser's fetch, unless there is a dialer
	}
	c := t.Clone()
	// A clone has a TLSNextProto only if the caller set one, and it lacks
	// protocols that were registered.
	if len(c.TLSNextProto) > 0 || hasForeignProtocol(t) {
		return nil
	}
	c.DisableKeepAlives = true
	c.ForceAttemptHTTP2 = false
	c.Protocols = new(http.Protocols)
	c.Protocols.SetHTTP1(true)
	c.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	c.WriteBufferSize = 0 // see ownConn
	if c.TLSClientConfig == nil {
		c.TLSClientConfig = new(tls.Config)
	}
	c.TLSClientConfig.NextProtos = []string{"http/1.1"}
	if c.TLSClientConfig.ClientSessionCache == nil {
		c.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}

	dial := c.DialContext
	if old := c.Dial; dial == nil && old != nil {
		dial = func(_ context.Context, network, addr string) (net.Conn, error) { return old(network, addr) }
	}
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c.Dial, c.DialContext = nil, func(ctx context.Context, network, addr string) (net.Conn, error) {
		return own(ctx, func(ctx context.Context) (net.Conn, error) { return dial(ctx, network, addr) })
	}
	dialTLS := c.DialTLSContext
	if old := c.DialTLS; dialTLS == nil && old != nil {
		dialTLS = func(_ context.Context, network, addr string) (net.Conn, error) { return old(network, addr) }
	}
	if dialTLS != nil {
		c.DialTLS, c.DialTLSContext = nil, func(ctx context.Context, network, addr string) (net.Conn, error) {
			return own(ctx, func(ctx context.Context) (net.Conn, error) {
				return handshaken(ctx)(dialTLS(ctx, network, addr))
			})
		}
	}
	return c
}

// handshaken refuses a connection of the caller's DialTLSContext that is HTTP/2.
func handshaken(ctx context.Context) func(net.Conn, error) (net.Conn, error) {
	return func(conn net.Conn, err error) (net.Conn, error) {
		if err != nil {
			return nil, err
		}
		if c, ok := conn.(interface{ HandshakeContext(context.Context) error }); ok {
			if err := c.HandshakeContext(ctx); err != nil {
				_ = conn.Close()
				return nil, err
			}
		}
		if c, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok && c.ConnectionState().NegotiatedProtocol == "h2" {
			_ = conn.Close()
			return nil, refuse("DialTLSContext of the transport negotiated HTTP/2, but a call that must be sent once needs HTTP/1.1: let it offer only the protocol http/1.1, or leave TLS to the transport")
		}
		return conn, nil
	}
}

// onlyHTTP2 says what to do when a server or a transport leaves no HTTP/1.1.
func onlyHTTP2(who string) error {
	return refuse(who + " does not speak HTTP/1.1, which a call that must be sent once needs: HTTP/2 may give a request back after it was sent")
}

// noHTTP1 reports whether a TLS handshake failed since the server has no HTTP/1.1.
// crypto/tls has no exported type for an alert that the peer sent.
func noHTTP1(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && strings.HasSuffix(op.Err.Error(), "no application protocol")
}

// hasForeignProtocol reports whether a protocol that is not net/http's own was
// registered with t, for https or http. net/http does not tell, so this reads a
// field that is not exported. Where a Go release has no such field, none is seen,
// and the call goes over a connection of its own rather than that protocol.
func hasForeignProtocol(t *http.Transport) bool {
	plain := &http.Transport{ForceAttemptHTTP2: true}
	_ = plain.Clone() // net/http registers its HTTP/2 before the first use
	ours := registered(plain, "https")
	for _, scheme := range []string{"http", "https"} {
		if proto := registered(t, scheme); proto != nil && proto != ours {
			return true
		}
	}
	return false
}

// registered returns the type of the protocol that is registered for a scheme.
func registered(t *http.Transport, scheme string) reflect.Type {
	value := reflect.ValueOf(t).Elem().FieldByName("altProto")
	if value.Kind() == reflect.Struct {
		value = value.FieldByName("v") // of the atomic.Value
	}
	if value.Kind() != reflect.Interface || value.Elem().Kind() != reflect.Map {
		return nil
	}
	proto := value.Elem().MapIndex(reflect.ValueOf(scheme))
	if !proto.IsValid() || proto.Elem().Kind() == reflect.Invalid {
		return nil
	}
	return proto.Elem().Type()
}

// ownConn is the connection of one request. It knows whether anything of the
// request was written, and can end that.
type ownConn struct {
	net.Conn
	state  atomic.Int32
	alerts atomic.Bool // TLS is above: not every write is one of the request
	stop   func() bool // ends the watch over a request that ends before it is sent
}

const (
	connecting int32 = iota // what is written belongs to a handshake or a proxy
	armed                   // the next write is the request
	written                 // some of the request was written, or may have been
	sealed                  // nothing more is written
)

// own opens the connection of a request. net/http goes on connecting when the
// request has ended, for the next one; here there is none, so that ends too.
func own(ctx context.Context, dial func(context.Context) (net.Conn, error)) (net.Conn, error) {
	request := ctx.Value(sendingKey{}).(*sending)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(request, cancel)
	conn, err := dial(ctx)
	stop()
	if err != nil {
		cancel()
		return nil, err
	}
	c := &ownConn{Conn: conn}
	c.stop = context.AfterFunc(request, func() {
		if c.state.CompareAndSwap(connecting, sealed) {
			_ = c.Conn.Close()
		}
	})
	return c, nil
}

func ownConnOf(conn net.Conn) *ownConn {
	for {
		switch c := conn.(type) {
		case *ownConn:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

// arm says that the next write is the request, on conn, which is c or above it.
func (c *ownConn) arm(conn net.Conn) {
	c.alerts.Store(conn != c)
	c.stop()
	c.state.CompareAndSwap(connecting, armed)
}

// seal ends writing, and reports whether nothing of the request was written.
func (c *ownConn) seal() bool {
	return c.state.CompareAndSwap(armed, sealed) || c.state.CompareAndSwap(connecting, sealed) || c.state.Load() == sealed
}

// longestAlert bounds what crypto/tls writes by itself when a connection ends:
// with the block ciphers of TLS 1.2, an alert is a record of 69 bytes. The first
// write of a request is its whole head, or 4 KiB of it.
const longestAlert = 80

func (c *ownConn) Write(p []byte) (int, error) {
	first := false
	if len(p) > longestAlert || !c.alerts.Load() {
		first = c.state.CompareAndSwap(armed, written)
	}
	if c.state.Load() == sealed {
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Write(p)
	if first && n == 0 && err != nil {
		c.state.CompareAndSwap(written, armed)
	}
	return n, err
}
