package faultmatrix_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// site is a server that plays a fault, and the client's way to it: over loopback,
// or in memory, where a synctest bubble has its own clock.
type site struct {
	t         *testing.T
	op        apitest.Operation
	inMemory  bool
	transport *http.Transport
	url       string
	ctx       context.Context // of the call
	end       context.CancelFunc
	opts      []proxylite.Option
	before    func() // the call, after the warm-up

	mu      sync.Mutex
	conns   []net.Conn
	closed  bool
	serving sync.WaitGroup
	byCall  map[string]int // requests read, of those that have call=… in the query

	read       atomic.Int32 // requests that the server read to their end
	played     atomic.Int32 // times that the fault was played
	playedWarm atomic.Int32 // of those, on a connection that had served before
	answered   atomic.Bool  // with the documented answer, or a part of it
	elsewhere  atomic.Int32 // connections and requests to another host
	arrived    chan struct{}
	release    chan struct{}
}

func newSite(t *testing.T, op apitest.Operation, inMemory bool) *site {
	s := &site{t: t, op: op, inMemory: inMemory, transport: proxylite.NewTransport(), byCall: map[string]int{}}
	s.ctx, s.end = context.WithCancel(t.Context())
	s.transport.TLSClientConfig = &tls.Config{RootCAs: apitest.Certificate().Pool, CurvePreferences: []tls.CurveID{tls.X25519}}
	t.Cleanup(func() {
		s.end()
		s.transport.CloseIdleConnections()
		if inMemory {
			apitest.Pass(time.Minute) // a bubble's clock stops with its test, and the last bytes need some
		}
	})
	return s
}

// listen opens the site's address. The protocols make it https; none, http.
func (s *site) listen(protocols ...string) net.Listener {
	var ln net.Listener
	var err error
	if s.inMemory {
		mem := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		s.transport.DialContext = mem.dial
		ln, s.url = mem, "http://127.0.0.1"
	} else {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
		require.NoError(s.t, err)
		s.url = "http://" + ln.Addr().String()
	}
	if len(protocols) > 0 {
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{apitest.Certificate().Pair}, NextProtos: protocols})
		s.url = "https" + strings.TrimPrefix(s.url, "http")
	}
	s.t.Cleanup(func() {
		_ = ln.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = true
		for _, conn := range s.conns { // one with a stream under way is not idle yet
			_ = conn.Close()
		}
	})
	return ln
}

// accept gives each connection to serve.
func (s *site) accept(ln net.Listener, serve func(net.Conn)) {
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			if s.closed { // meanwhile
				_ = conn.Close()
			}
			s.mu.Unlock()
			s.serving.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	}()
}

// play counts the fault. It ends a call that meets more of them than it may have attempts.
func (s *site) play() {
	if s.played.Add(1) > 3 {
		s.end()
	}
}

// answer is the documented one of the operation.
func (s *site) answer() string {
	if s.op.Name == textExtraction.Name {
		return "203.0.113.1:8001\n203.0.113.2:8002"
	}
	s.answered.Store(true)
	return apitest.Fixture(s.t, s.op.Name+".json")
}

// handle plays an answer.
func (s *site) handle(over string, answer func(http.ResponseWriter)) {
	var ln net.Listener
	if over == over2 {
		ln = s.listen("h2")
	} else {
		ln = s.listen()
	}
	server := &http.Server{ErrorLog: apitest.Quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			s.read.Add(1)
			s.play()
			answer(w)
		}
	})}
	s.t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(ln) }()
}

// otherHost is one that must see nothing.
func (s *site) otherHost() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Error(err)
		return ""
	}
	s.t.Cleanup(func() { _ = ln.Close() })
	s.accept(ln, func(net.Conn) { s.elsewhere.Add(1) })
	return "http://" + ln.Addr().String() + "/elsewhere"
}

// serveH1 reads the requests of a connection. Before it reads one that is no
// warm-up it asks unread, if there is one; the fault comes after it.
func (s *site) serveH1(conn net.Conn, unread func() (goOn bool), fault fault1) {
	in := bufio.NewReader(conn)
	warm := false
	for {
		start, err := in.Peek(len(warmUp))
		if err != nil {
			return
		}
		isWarmUp := string(start) == warmUp
		if !isWarmUp && unread != nil && !unread() {
			return
		}
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if isWarmUp {
			warm = true
			s.arrive()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(apitest.Fine))+"\r\n\r\n"+apitest.Fine)
			continue
		}
		s.read.Add(1)
		s.mu.Lock()
		s.byCall[r.URL.Query().Get("call")]++
		s.mu.Unlock()
		if unread == nil && s.before == nil {
			s.play()
		}
		if warm {
			s.playedWarm.Add(1)
		}
		if !fault(s, conn) {
			return
		}
	}
}

const warmUp = "GET /end-point/warm"

// arrive tells that a warm-up has its connection, and holds it until all have one.
func (s *site) arrive() {
	s.arrived <- struct{}{}
	<-s.release
}

// warm opens n connections by as many calls, and leaves them idle.
func (s *site) warm(n int, call func() error) {
	s.arrived, s.release = make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		ended := make(chan error, 1)
		wg.Go(func() { ended <- call() })
		select {
		case <-s.arrived:
		case err := <-ended:
			s.t.Fatalf("warm-up: %v", err)
		}
	}
	close(s.release)
	wg.Wait()
}

// hangUp closes all connections.
func (s *site) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
}

// reset makes Close send RST where there is a real connection.
func reset(conn net.Conn) {
	if c, ok := conn.(*tls.Conn); ok {
		conn = c.NetConn()
	}
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = conn.Close()
}

// stream is a request over HTTP/2 that was read to its end.
type stream struct {
	*http2.Framer
	conn net.Conn
	id   uint32
}

// send sends a header, and a body that ends the stream if it is the end.
func (s stream) send(body string, end bool) {
	var block bytes.Buffer
	_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = s.WriteData(s.id, end, []byte(body))
}

// serveH2 reads the requests of a connection; the fault comes after one that is no
// warm-up.
func (s *site) serveH2(conn net.Conn, fault fault2) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	// One stream at a time, so that many calls open many connections.
	_ = f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
	warm, isWarmUp, settled := false, false, false
	var waiting *stream // a warm-up before the client knows our settings
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if settled = settled || frame.IsAck(); !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				_ = f.WritePing(true, frame.Data)
			}
		case *http2.MetaHeadersFrame:
			isWarmUp = strings.Contains(frame.PseudoValue("path"), "/warm")
		}
		end, ok := frame.(interface{ StreamEnded() bool })
		ended := ok && end.StreamEnded()
		st := stream{f, conn, frame.Header().StreamID}
		if ended && isWarmUp {
			waiting = &st
		}
		if waiting != nil && settled {
			s.arrive()
			waiting.send(apitest.Fine, true)
			waiting, warm = nil, true
		}
		if !ended || isWarmUp {
			continue
		}
		s.read.Add(1)
		s.play()
		if warm {
			s.playedWarm.Add(1)
		}
		fault(s, st)
	}
}

// memoryListener is a network without one.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *memoryListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- buffered(theirs):
		return buffered(ours), nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// bufferedConn gives a pipe the buffer of a kernel, so that both ends may write at once.
type bufferedConn struct {
	net.Conn
	out    chan []byte
	closed chan struct{}
	once   sync.Once
}

func buffered(pipe net.Conn) net.Conn {
	c := &bufferedConn{Conn: pipe, out: make(chan []byte, 1024), closed: make(chan struct{})}
	go func() {
		defer pipe.Close()
		for {
			select {
			case p := <-c.out:
				if _, err := pipe.Write(p); err != nil {
					_ = c.Close()
				}
			case <-c.closed:
				for len(c.out) > 0 {
					_, _ = pipe.Write(<-c.out)
				}
				return
			}
		}
	}()
	return c
}

func (c *bufferedConn) Write(p []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	case c.out <- bytes.Clone(p):
		return len(p), nil
	}
}

func (c *bufferedConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		_ = c.SetReadDeadline(time.Unix(1, 0))                   // who reads here is over
		_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond)) // what was written may still be read
	})
	return nil
}
