package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"github.com/proxylite/proxylite-go/proxylitetest"
)

// origin is the server behind the edges. It keeps each request as it came, and
// responds like ProxyLite, after a delay.
type origin struct {
	addr   string
	server *http.Server

	mu       sync.Mutex
	delay    time.Duration
	demo     *proxylitetest.Server
	proxy    http.Handler // to demo
	requests []request
}

// request is one that the origin received.
type request struct {
	method, path string
	id           string // the query's call
	raw          []byte // the bytes, as they came
}

// framed tells whether it has a body, even an empty one.
func (r request) framed() bool {
	head, _, _ := bytes.Cut(bytes.ToLower(r.raw), []byte("\r\n\r\n"))
	return bytes.Contains(head, []byte("\r\ncontent-length:")) || bytes.Contains(head, []byte("\r\ntransfer-encoding:"))
}

func startOrigin() (*origin, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{addr: ln.Addr().String()}
	o.server = &http.Server{
		Handler:           o,
		ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, tapKey{}, c)
		},
	}
	o.reset(0)
	go func() { _ = o.server.Serve(tapped{ln}) }()
	return o, nil
}

func (o *origin) close() {
	_ = o.server.Close()
	o.demo.Close()
}

// reset forgets all requests and orders.
func (o *origin) reset(delay time.Duration) {
	demo := proxylitetest.NewServer(nil, proxylitetest.WithoutProxies())
	demo.Update(func(s *proxylitetest.State) { s.IPStock = 1 << 30 })
	target, _ := url.Parse(demo.URL)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}

	o.mu.Lock()
	old := o.demo
	o.delay, o.demo, o.proxy, o.requests = delay, demo, proxy, nil
	o.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// received returns the requests since the last reset.
func (o *origin) received() []request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.requests
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	got := request{
		method: r.Method, path: r.URL.Path, id: r.URL.Query().Get("call"),
		raw: r.Context().Value(tapKey{}).(*tap).take(),
	}
	o.mu.Lock()
	o.requests = append(o.requests, got)
	delay, proxy := o.delay, o.proxy
	o.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done(): // the edge has gone; what it asked for happens all the same
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	proxy.ServeHTTP(w, r)
}

// tap is a connection that keeps what was read from it.
type tap struct {
	net.Conn
	mu  sync.Mutex
	buf []byte
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.mu.Lock()
	t.buf = append(t.buf, p[:n]...)
	t.mu.Unlock()
	return n, err
}

// take returns what was read since it was last called: a request, since no edge
// sends the next one before it has the response.
func (t *tap) take() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	raw := t.buf
	t.buf = nil
	return raw
}

type tapKey struct{}

type tapped struct{ net.Listener }

func (l tapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tap{Conn: c}, nil
}
