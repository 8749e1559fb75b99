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

// ownTransport returns a transport that opens a new HTTP/1.1 connection for each request
// and closes it after the response. net/http never sends a request again on a connection
// that it has not used before. The response can't belong to another request. And the
// connection records whether anything was written.
//
// The transport is a clone of t, with its proxy, dialer and TLS configuration. It is nil
// if a clone would not behave like t.
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

// handshaken refuses an HTTP/2 connection from the caller's DialTLSContext.
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

// onlyHTTP2 is the error if the server or the transport does not support HTTP/1.1.
func onlyHTTP2(who string) error {
	return refuse(who + " does not speak HTTP/1.1, which a call that must be sent once needs: HTTP/2 may give a request back after it was sent")
}

// noHTTP1 reports whether a TLS handshake failed because the server does not support
// HTTP/1.1. crypto/tls has no exported type for an alert from the peer.
func noHTTP1(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && strings.HasSuffix(op.Err.Error(), "no application protocol")
}

// hasForeignProtocol reports whether the caller registered a protocol for http or https
// with t. net/http has no exported way to find out, so this reads an unexported field. If
// a Go release has no such field, it reports false, and unsafe calls bypass the registered
// protocol.
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

// registered returns the type of the protocol registered for a scheme.
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

// ownConn is the connection of one request. It records whether any of the request was
// written, and can stop further writes.
type ownConn struct {
	net.Conn
	state  atomic.Int32
	alerts atomic.Bool // TLS is above, so a write may be an alert
	stop   func() bool // stops closing the connection when the request ends
}

const (
	connecting int32 = iota // writes are a TLS handshake or a CONNECT
	armed                   // the next write is the request
	written                 // some of the request may have been written
	sealed                  // writes fail
)

// own opens the connection of a request. When a request ends, net/http keeps dialing for
// the next one. Here there is no next one, so own cancels the dial.
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

// arm records that the next write is the request. conn is c, or TLS above it.
func (c *ownConn) arm(conn net.Conn) {
	c.alerts.Store(conn != c)
	c.stop()
	c.state.CompareAndSwap(connecting, armed)
}

// seal makes further writes fail. It reports whether nothing of the request was written.
func (c *ownConn) seal() bool {
	return c.state.CompareAndSwap(armed, sealed) || c.state.CompareAndSwap(connecting, sealed) || c.state.Load() == sealed
}

// longestAlert is more than crypto/tls writes by itself when a connection ends: an alert
// is a record of up to 69 bytes, with the block ciphers of TLS 1.2. The first write of a
// request is longer: its whole header, or 4 KiB of it.
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
