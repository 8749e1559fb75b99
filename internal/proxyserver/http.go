package proxyserver

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"time"
)

// httpListener gives the HTTP server the connections that speak HTTP.
type httpListener struct {
	s    *Server
	addr net.Addr
}

func (l httpListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.s.handover:
		return c, nil
	case <-l.s.stopping:
		return nil, net.ErrClosed
	}
}

func (l httpListener) Close() error   { return nil }
func (l httpListener) Addr() net.Addr { return l.addr }

// httpConnState finishes a connection when the server is done with it. Who takes one
// over finishes it.
func (s *Server) httpConnState(nc net.Conn, state http.ConnState) {
	c := nc.(*conn)
	switch state {
	case http.StateHijacked:
		c.hijacked.Store(true)
	case http.StateClosed:
		s.finish(c)
	}
}

func (s *Server) serveHTTP(w http.ResponseWriter, in *http.Request) {
	client := in.Context().Value(connKey{}).(*conn)
	if in.Method == http.MethodConnect { // after a plain request
		_, r := takeOver(w)
		s.serveConnect(client, in, r)
		return
	}
	defer func() {
		if client.hijacked.Load() {
			s.finish(client)
		}
	}()
	r := request(in, HTTP, client)
	var err error
	if in.URL.Scheme == "http" && in.URL.Host != "" {
		if in.URL.Port() == "" {
			r.Target = net.JoinHostPort(in.URL.Hostname(), "80")
		}
		_ = http.NewResponseController(w).EnableFullDuplex() // a target may respond before it has read all
		err = s.handler.Forward(w, in, r)
	} else {
		err = &Refusal{Status: http.StatusBadRequest, Text: "this is a proxy: want CONNECT host:port, or a request for http://host/path"}
	}
	if err != nil {
		refusal := s.handler.Refuse(r, err)
		conn, _ := takeOver(w)
		refuse(conn, in, refusal)
	}
}

func request(in *http.Request, protocol string, c *conn) *Request {
	r := &Request{Protocol: protocol, Target: in.URL.Host, Conn: c.Conn, Context: in.Context()}
	// BasicAuth reads another header, of the same form.
	r.Username, r.Password, r.HasLogin = (&http.Request{
		Header: http.Header{"Authorization": in.Header["Proxy-Authorization"]},
	}).BasicAuth()
	return r
}

// serveConnect opens a tunnel. What the client has sent behind its request is in buffered.
func (s *Server) serveConnect(c *conn, in *http.Request, buffered *bufio.Reader) {
	r := request(in, Connect, c)
	ctx, stop := c.watch(buffered)
	r.Context = ctx
	target, err := s.handler.Connect(c.ctx, r)
	stop()
	if err != nil {
		refuse(c, in, s.handler.Refuse(r, err))
		s.finish(c)
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n") // the tunnel sees the error too
	go s.tunnel(c, rest(buffered), target)                                  // on a stack of its own, which is smaller
}

// rest is what was read too much.
func rest(r *bufio.Reader) []byte {
	b, _ := r.Peek(r.Buffered())
	return slices.Clone(b)
}

// takeOver takes a connection from net/http, with what the client has sent.
func takeOver(w http.ResponseWriter) (*conn, *bufio.Reader) {
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // nobody waits for a response
	}
	return c.(*conn), buffered.Reader
}

// Forward passes a plain request on and returns its error if there is no response.
// httputil drops the headers of the hop, the login for the proxy among them, and
// streams both bodies. Responded is called before the response is passed on.
func Forward(w http.ResponseWriter, in *http.Request, through http.RoundTripper, responded func(*http.Response)) error {
	var failed error
	(&httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			// A reverse proxy distrusts these; a forward proxy leaves them alone.
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if v, ok := pr.In.Header[name]; ok {
					pr.Out.Header[name] = v
				}
			}
			pr.Out.URL.RawQuery = pr.In.URL.RawQuery
		},
		Transport: through, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		ModifyResponse: func(resp *http.Response) error {
			responded(resp)
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
	}).ServeHTTP(w, in)
	return failed
}

// Refusal is the proxy's own response to a request. As an error, it is one that says
// how it is to be responded to.
type Refusal struct {
	Status int
	Reason string // phrase; default the usual one, and "OK" where there is none
	Text   string // body, default the reason; a newline is added
	Header http.Header
	Reply  byte // of SOCKS5; 0 stands for a general failure
}

func (r *Refusal) Error() string { return r.Text }

// RefusalOf finds a refusal in an error.
func RefusalOf(err error) (*Refusal, bool) { return errors.AsType[*Refusal](err) }

// refuse ends a connection with a refusal. It writes the response by hand since
// net/http has no say in the reason phrase.
func refuse(c *conn, in *http.Request, r *Refusal) {
	reason := cmp.Or(r.Reason, http.StatusText(r.Status), "OK")
	body := cmp.Or(r.Text, reason) + "\n"
	response := http.Response{
		Status: fmt.Sprintf("%03d %s", r.Status, reason), StatusCode: r.Status, ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Close: true,
		Request: in, // no body for HEAD
	}
	_ = response.Write(c)
	// Closed now, what the client still sends would reset the connection, and it
	// might not see the response.
	if c.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, c)
	}
}
