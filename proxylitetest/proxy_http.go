package proxylitetest

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

// httpListener gives the HTTP server the connections that speak HTTP.
type httpListener struct{ p *Proxy }

func (l httpListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.p.handover:
		return c, nil
	case <-l.p.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (l httpListener) Close() error   { return nil }
func (l httpListener) Addr() net.Addr { return l.p.listener.Addr() }

// httpConnState finishes a connection when the server is done with it. One that
// was taken over is finished by serveHTTP.
func (p *Proxy) httpConnState(conn net.Conn, state http.ConnState) {
	c := conn.(*clientConn)
	switch state {
	case http.StateHijacked:
		c.hijacked.Store(true)
	case http.StateClosed:
		p.finish(c)
	}
}

func (p *Proxy) serveHTTP(w http.ResponseWriter, r *http.Request) {
	client := r.Context().Value(clientConnKey{}).(*clientConn)
	defer func() {
		if client.hijacked.Load() {
			p.finish(client)
		}
	}()
	request := &ProxyRequest{Time: p.opts.Now(), Protocol: protocolHTTP, Target: r.URL.Host}
	if r.Method == http.MethodConnect {
		request.Protocol = protocolConnect
	} else if r.URL.Port() == "" {
		request.Target = net.JoinHostPort(r.URL.Hostname(), "80")
	}
	// BasicAuth reads another header, of the same form.
	username, password, given := (&http.Request{
		Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]},
	}).BasicAuth()
	request.Username = username

	fault, err := p.admit(r.Context(), request, p.login(username, password, given))
	switch {
	case err != nil:
		p.refuse(w, r, request, err)
	case r.Method == http.MethodConnect:
		p.connect(w, r, request, fault)
	case r.URL.Scheme != "http" || r.URL.Host == "":
		p.refuse(w, r, request, &proxyRefusal{
			status: http.StatusBadRequest,
			body:   "this is a proxy: want CONNECT host:port, or a request for http://host/path",
		})
	default:
		client.cutBy(fault)
		_ = http.NewResponseController(w).EnableFullDuplex() // a target may respond before it has read all
		p.forward(w, r, request)
	}
}

func (p *Proxy) connect(w http.ResponseWriter, r *http.Request, request *ProxyRequest, fault ProxyFault) {
	// The request's context ends when the client has sent all that it will: too early.
	target, err := p.dial(r.Context().Value(clientConnKey{}).(*clientConn).ctx, "tcp", request.Target)
	if err != nil {
		p.refuse(w, r, request, err)
		return
	}
	defer target.Close()
	conn, buffered := takeOver(w)
	request.Status = http.StatusOK
	p.record(request)
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n") // the tunnel sees the error too
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	p.tunnel(conn, bytes.NewReader(early), target, fault)
}

// takeOver takes a connection from net/http.
func takeOver(w http.ResponseWriter) (*clientConn, *bufio.ReadWriter) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // nobody waits for a response
	}
	return conn.(*clientConn), buffered
}

// forward passes a plain request on. httputil drops the headers of the hop, the
// login for the proxy among them, and streams both bodies.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, request *ProxyRequest) {
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
		Transport: &p.transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		ModifyResponse: func(resp *http.Response) error {
			request.Status = resp.StatusCode
			p.record(request)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { p.refuse(w, r, request, err) },
	}).ServeHTTP(w, r)
}

// refuse responds to a request itself, and ends its connection. It writes the response
// by hand since net/http has no say in the reason phrase.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, request *ProxyRequest, err error) {
	var own *proxyRefusal
	if !errors.As(err, &own) {
		own = &proxyRefusal{status: http.StatusBadGateway, body: err.Error()}
	}
	request.Status, request.Refused = own.status, true
	p.record(request)
	conn, _ := takeOver(w)
	reason := cmp.Or(own.reason, http.StatusText(own.status), "OK")
	body := cmp.Or(own.body, reason) + "\n"
	response := http.Response{
		Status: fmt.Sprintf("%03d %s", own.status, reason), StatusCode: own.status, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {"text/plain; charset=utf-8"},
			"Proxy-Status": {"proxylitetest; error=http_request_denied"},
		},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Close: true,
		Request: r, // no body for HEAD
	}
	if own.status == http.StatusProxyAuthRequired {
		response.Header.Set("Proxy-Authenticate", `Basic realm="proxylitetest"`)
	}
	if own.status == http.StatusBadGateway {
		response.Header.Set("Proxy-Status", "proxylitetest; error=destination_unavailable")
	}
	_ = response.Write(conn)
	// Closed now, what the client still sends would reset the connection, and it
	// might not see the response.
	if conn.CloseWrite() == nil {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, conn)
	}
}
