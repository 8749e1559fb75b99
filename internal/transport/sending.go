package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"time"

	"github.com/proxylite/proxylite-go/internal/redact"
)

// sending is one round trip of the base transport. It may send several requests: net/http
// sends an idempotent request again by itself, over HTTP/1 if a reused connection breaks,
// and over HTTP/2 if the server returns it unprocessed. Each of these counts as an
// attempt, so that the retry policy limits them.
//
// A sending is the context of its request.
type sending struct {
	context.Context
	attempt    *Attempt
	std        bool // the base transport is a *http.Transport
	cleartext2 bool // connections without TLS are HTTP/2

	connected atomic.Bool // net/http got a connection to send on
	http2     atomic.Bool // the last connection is HTTP/2
	wrote     atomic.Bool // the request header was written to it
	stopped   atomic.Bool // net/http was stopped from sending again
	own       atomic.Pointer[ownConn]

	trace httptrace.ClientTrace
}

// newSending returns a sending and the context for its request.
func (a *Attempt) newSending(ctx context.Context, hide *redact.Set) (*sending, context.Context) {
	s := &a.first
	if a.taken.Swap(true) { // a middleware sends more than one request
		s = new(sending)
	}
	s.Context, s.attempt = ctx, a
	outer := httptrace.ContextClientTrace(ctx)
	if outer == nil {
		s.trace.GotConn = s.gotConn
		s.trace.WroteHeaders = s.wroteHeaders
		return s, httptrace.WithClientTrace(s, &s.trace)
	}
	s.trace = *outer
	s.trace.GotConn = func(info httptrace.GotConnInfo) {
		s.gotConn(info)
		if outer.GotConn != nil {
			outer.GotConn(info)
		}
	}
	s.trace.WroteHeaders = func() {
		s.wroteHeaders()
		if outer.WroteHeaders != nil {
			outer.WroteHeaders()
		}
	}
	// The caller's trace sees everything except secrets.
	if outer.WroteHeaderField != nil {
		s.trace.WroteHeaderField = func(name string, values []string) {
			shown := make([]string, len(values))
			for i, v := range values {
				shown[i] = hide.Text(v)
			}
			outer.WroteHeaderField(name, shown)
		}
	}
	if outer.Got1xxResponse != nil {
		s.trace.Got1xxResponse = func(code int, header textproto.MIMEHeader) error {
			return outer.Got1xxResponse(code, textproto.MIMEHeader(hide.Header(http.Header(header))))
		}
	}
	return s, httptrace.WithClientTrace(s, &s.trace)
}

func (s *sending) wroteHeaders() { s.wrote.Store(true) }

// gotConn is called by net/http whenever it is about to send the request.
func (s *sending) gotConn(info httptrace.GotConnInfo) {
	if c := ownConnOf(info.Conn); c != nil {
		c.arm(info.Conn)
		s.own.Store(c)
	}
	http2 := s.isHTTP2(info.Conn)
	if s.wrote.Swap(false) {
		wait, ok := s.attempt.call.Resend(s.http2.Load())
		if !ok {
			s.stopped.Store(true)
			s.attempt.cancel()   // HTTP/2 checks the context before it writes
			if s.std && !http2 { // HTTP/1 does not
				_ = info.Conn.Close()
			}
			return
		}
		if http2 {
			s.pause(wait)
		}
	}
	s.http2.Store(http2)
	s.connected.Store(true)
}

// pause waits before a request is sent again over HTTP/2, so that the settings of the
// server can arrive on a new connection. Before that, net/http sends up to 100 requests
// at once, and a server that allows fewer refuses the rest.
func (s *sending) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.Done():
	}
}

func (s *sending) isHTTP2(conn net.Conn) bool {
	c, ok := conn.(*tls.Conn)
	return ok && c.ConnectionState().NegotiatedProtocol == "h2" || !ok && s.cleartext2
}

// sent reports whether any of the request may have reached the server if net/http
// returned err.
func (s *sending) sent(err error) bool {
	if c := s.own.Load(); c != nil {
		return !c.seal()
	}
	// net/http returns this error for HTTP/2 before it writes anything.
	return s.connected.Load() && !strings.Contains(err.Error(), "request header list larger than peer's advertised limit")
}

// explain returns a clearer error than that of net/http where there is one.
func (s *sending) explain(err error) error {
	switch {
	case s.stopped.Load() && s.http2.Load():
		return errors.New("the HTTP/2 server returned the request unprocessed or reset its stream, and the retry policy allows no further attempt")
	case s.stopped.Load():
		return errors.New("a reused connection broke before the response arrived, and the retry policy allows no further attempt")
	case s.attempt.call.Unsafe && noHTTP1(err):
		return onlyHTTP2("the server")
	}
	return err
}

// String is as that of Attempt.
func (s *sending) String() string { return "proxylite.sending" }

type sendingKey struct{}

// Value lets derived contexts find the sending. It hides the caller's trace, which
// net/http would otherwise call in addition to ours.
func (s *sending) Value(key any) any {
	if key == (sendingKey{}) {
		return s
	}
	v := s.Context.Value(key)
	if _, ok := v.(*httptrace.ClientTrace); ok {
		return nil
	}
	return v
}
