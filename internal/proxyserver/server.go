// Package proxyserver speaks the protocols of a forward proxy: HTTP, CONNECT and
// SOCKS5 (CONNECT only) on one port, told apart by their first byte. What becomes of
// a request is for a [Handler] to say.
package proxyserver

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// The protocols of a [Request].
const (
	Connect = "connect"
	HTTP    = "http" // a plain request
	SOCKS5  = "socks5"
)

// Request is what a client asks for.
type Request struct {
	Protocol string
	Target   string // host:port as the client named it; empty if a SOCKS5 login failed

	Username, Password string
	HasLogin           bool // the client sent one
	OffersLogin        bool // the client has not sent one, but could: SOCKS5

	Conn net.Conn // the client's, as Handler.Accept returned it
	// Context ends when the client has gone, or says that it sends no more. Of a tunnel,
	// that is found out after a second.
	Context context.Context
}

// Handler decides. Its methods are called for many connections at once.
type Handler interface {
	// Accept may wrap a connection from a client. Without a connection as its result,
	// the client's is cut. Reads and writes of the result are all that passes.
	Accept(conn net.Conn) net.Conn
	// Login decides on the login of a SOCKS5 client, before its target is known. It is
	// asked about a client without one first; if it refuses that, the client is asked
	// for its login.
	Login(r *Request) bool
	// Connect connects to the target of a tunnel. The context ends with the client's
	// connection.
	Connect(ctx context.Context, r *Request) (net.Conn, error)
	// Forward responds to a plain request, for instance with [Forward], or returns
	// why it has not responded.
	Forward(w http.ResponseWriter, in *http.Request, r *Request) error
	// Refuse says how to refuse a request, for an error of Connect or Forward, or a
	// *Refusal of the server itself.
	Refuse(r *Request, err error) *Refusal
}

// Server is a proxy without its decisions. Set it up with New.
type Server struct {
	handler   Handler
	handshake time.Duration
	header    int
	most      int
	server    http.Server
	handover  chan net.Conn // connections that speak HTTP
	stopping  chan struct{} // closed by Shutdown
	ctx       context.Context
	cancel    context.CancelFunc
	running   sync.WaitGroup // the HTTP server, and one for each listener and connection

	mu        sync.Mutex
	begun     bool
	stopped   bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
}

// Options are the limits of a [Server].
type Options struct {
	Handshake time.Duration // how long a client may take to say what it wants
	KeepAlive time.Duration // how long a connection may rest between plain requests; 0: without end
	Header    int           // bytes of a request's header; 0 means the default of net/http
	Conns     int           // connections at once, further ones are cut; 0: any number
}

// New returns a server that listens nowhere yet.
func New(h Handler, o Options) *Server {
	s := &Server{
		handler: h, handshake: o.Handshake, header: cmp.Or(o.Header, http.DefaultMaxHeaderBytes), most: o.Conns,
		handover: make(chan net.Conn), stopping: make(chan struct{}),
		listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.server = http.Server{
		Handler: http.HandlerFunc(s.serveHTTP), DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: o.Handshake, IdleTimeout: o.KeepAlive, MaxHeaderBytes: o.Header,
		ErrorLog: log.New(io.Discard, "", 0),
		ConnContext: func(_ context.Context, c net.Conn) context.Context {
			return context.WithValue(c.(*conn).ctx, http.ServerContextKey, &s.server)
		},
		ConnState: s.httpConnState,
	}
	return s
}

// Serve takes connections from a listener, and closes it in the end. It returns
// http.ErrServerClosed after Shutdown or Close, or the error of a listener that was
// closed by somebody else.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return http.ErrServerClosed
	}
	s.listeners[l] = struct{}{}
	s.running.Add(1)
	if !s.begun {
		s.begun = true
		s.running.Go(func() { _ = s.server.Serve(httpListener{s, l.Addr()}) })
	}
	s.mu.Unlock()
	defer s.running.Done()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, l)
	}()
	for {
		raw, err := l.Accept()
		if err == nil {
			s.accepted(raw)
			continue
		}
		select {
		case <-s.stopping:
			return http.ErrServerClosed
		default:
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		select {
		case <-s.stopping:
			return http.ErrServerClosed
		case <-time.After(5 * time.Millisecond): // out of files, most likely: others will be closed
		}
	}
}

// accepted begins with a connection.
func (s *Server) accepted(raw net.Conn) {
	c := &conn{raw: raw}
	c.sniffing.Store(true)
	_ = raw.SetReadDeadline(time.Now().Add(s.handshake))
	c.ctx, c.cancel = context.WithCancel(context.WithValue(s.ctx, connKey{}, c))
	s.mu.Lock()
	full := s.stopped || s.most > 0 && len(s.conns) >= s.most
	if !full {
		s.conns[c] = struct{}{} // from here on Cut reaches it
		s.running.Add(1)
	}
	s.mu.Unlock()
	if full {
		c.reset()
		return
	}
	if c.Conn = s.handler.Accept(raw); c.Conn == nil {
		c.reset()
		c.Conn = raw
		s.finish(c)
		return
	}
	go s.sniff(c)
}

// sniff serves a connection in the protocol that its first byte belongs to. CONNECT and
// SOCKS5 are served here, which takes less time and memory than net/http does.
func (s *Server) sniff(c *conn) {
	var first [1]byte // a connection that says nothing holds no buffer
	_, err := io.ReadFull(c.Conn, first[:])
	c.sniffing.Store(false)
	if err != nil || first[0] != socksVersion && (first[0] < '!' || first[0] > '~') {
		s.finish(c) // SOCKS4 or TLS, as HTTP, would wait for the end of a line
		return
	}
	c.unread = first[:]
	header := &io.LimitedReader{R: c, N: int64(s.header)}
	r := bufio.NewReader(header)
	if first[0] == socksVersion {
		s.serveSOCKS5(c, r)
		return
	}
	if method, _ := r.Peek(len("CONNECT ")); string(method) == "CONNECT " {
		in, err := http.ReadRequest(r)
		if err == nil {
			s.serveConnect(c, in, r)
			return
		}
		if header.N <= 0 || !isNetError(err) {
			r := &Request{Protocol: Connect, Conn: c.Conn, Context: c.ctx}
			refuse(c, nil, s.handler.Refuse(r, &Refusal{Status: http.StatusBadRequest, Text: "malformed request"}))
		}
		s.finish(c)
		return
	}
	c.unread, _ = r.Peek(r.Buffered())
	_ = c.SetReadDeadline(time.Time{})
	select {
	case s.handover <- c:
	case <-s.stopping:
		s.finish(c)
	}
}

func isNetError(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok || err == io.EOF || err == io.ErrUnexpectedEOF
}

// finish ends what accepted began, once for each connection.
func (s *Server) finish(c *conn) {
	_ = c.Close()
	c.cancel()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.running.Done()
}

// Open returns the number of connections from clients.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Cut resets every connection from a client.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.reset()
	}
}

// stop frees the ports, and ends the connections that have sent nothing.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.stopped = true
		close(s.stopping)
	}
	for l := range s.listeners {
		_ = l.Close()
	}
	for c := range s.conns {
		if c.sniffing.Load() {
			_ = c.raw.SetReadDeadline(time.Unix(1, 0))
		}
	}
}

// Close cuts every connection and returns when all goroutines have ended. A Handler
// must not call it.
func (s *Server) Close() {
	s.stop()
	s.Cut()
	s.cancel()
	_ = s.server.Close()
	s.running.Wait()
}

// Shutdown takes no more connections, closes those that ask for nothing, and waits for
// the others until the context ends; then it cuts them and returns the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.server.Shutdown(ctx)
		s.running.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.Close()
		<-done
		return ctx.Err()
	}
}
