package faultmatrix_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/http2"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// A wireFault is what can go wrong on the way of a call. It hits every request of the
// call, unless it says otherwise.
type wireFault struct {
	name    string
	over    string // over1, over2, or empty if there is no HTTP
	untimed bool   // how long the call takes is not compared
	virtual bool   // the duration matters: it is played in memory, with virtual time
	warm    int    // connections that have served before
	// afterRead: the server has read the request when it is played.
	afterRead bool
	// races: whether an unsafe call has written a byte by then is a matter of luck.
	races bool
	// frames: it is made of HTTP/2 frames, so it can't hit an unsafe call,
	// which goes over HTTP/1.1.
	frames bool
	// recovers: only the first request meets it.
	recovers bool
	set      func(*site)
}

const (
	over1 = "HTTP/1"
	over2 = "HTTP/2"
)

var wireFaults = concat(beforeHTTP, http1Faults, http2Faults, answerFaults(), changing, endedContexts)

func concat(lists ...[]wireFault) (all []wireFault) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// beforeHTTP: there is no connection to send on.
var beforeHTTP = []wireFault{
	{name: "connection refused", set: func(s *site) {
		s.url = "http://127.0.0.1:1"
		s.dial(new(net.Dialer).DialContext)
	}},
	{name: "connection never opened", virtual: true, set: func(s *site) {
		s.url = "http://127.0.0.1"
		s.dial(func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
	}},
	{name: "DNS: no such name", set: func(s *site) { s.resolve(dnsmessage.RCodeNameError) }},
	{name: "DNS: server failure", set: func(s *site) { s.resolve(dnsmessage.RCodeServerFailure) }},
	{name: "TLS: certificate not trusted", set: func(s *site) {
		s.tls(func(conn *tls.Conn) { _ = conn.Handshake() })
		s.transport.TLSClientConfig = nil
	}},
	{name: "TLS: certificate of another host", set: func(s *site) {
		s.tls(func(conn *tls.Conn) { _ = conn.Handshake() })
		s.transport.TLSClientConfig.ServerName = "api.proxylite.com"
	}},
	{name: "TLS: plain HTTP server", set: func(s *site) {
		s.https(func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		})
	}},
	{name: "TLS: handshake cut", set: func(s *site) {
		s.https(func(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)) })
	}},
	{name: "TLS: certificate of the client wanted", races: true, set: func(s *site) {
		s.https(func(conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{
				Certificates: []tls.Certificate{apitest.Certificate().Pair}, ClientAuth: tls.RequireAnyClientCert,
			}).Handshake()
			_, _ = io.Copy(io.Discard, conn) // a request came with the end of the handshake; a reset would hide the alert
		})
	}},
	{name: "TLS: version not supported", set: func(s *site) {
		s.https(func(conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{
				Certificates: []tls.Certificate{apitest.Certificate().Pair}, MaxVersion: tls.VersionTLS11,
			}).Handshake()
		})
	}},
	{name: "TLS: no response to the handshake", virtual: true, set: func(s *site) {
		s.https(func(conn net.Conn) { stays(s, conn) })
	}},
}

// dial replaces the dialer by one that fails.
func (s *site) dial(dial func(context.Context, string, string) (net.Conn, error)) {
	s.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		s.play()
		return dial(ctx, network, addr)
	}
}

// https is where a client begins TLS, and serve does what it likes about it.
func (s *site) https(serve func(net.Conn)) {
	s.accept(s.listen(), func(conn net.Conn) { s.play(); serve(conn) })
	s.url = "https" + strings.TrimPrefix(s.url, "http")
}

func (s *site) tls(serve func(*tls.Conn)) {
	s.accept(s.listen("http/1.1"), func(conn net.Conn) { s.play(); serve(conn.(*tls.Conn)) })
}

// resolve looks the name up at a name server that responds with an error.
func (s *site) resolve(code dnsmessage.RCode) {
	s.url = "https://api.proxylite.test"
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			var size uint16
			if binary.Read(server, binary.BigEndian, &size) != nil {
				return
			}
			packet := make([]byte, size)
			var m dnsmessage.Message
			if _, err := io.ReadFull(server, packet); err != nil || m.Unpack(packet) != nil {
				return
			}
			m.Response, m.RCode, m.Additionals = true, code, nil
			packet, _ = m.Pack()
			_, _ = server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...))
		}()
		return client, nil
	}}
	s.dial((&net.Dialer{Resolver: resolver}).DialContext)
}

// A fault after which an HTTP/1 connection goes on returns true.
type fault1 func(s *site, conn net.Conn) (goOn bool)

// after1 hits a request that was read.
func after1(name string, fault fault1) wireFault {
	return wireFault{name: name, over: over1, afterRead: true, set: func(s *site) {
		s.accept(s.listen(), func(conn net.Conn) { s.serveH1(conn, nil, fault) })
	}}
}

// slow plays a fault in virtual time.
func slow(f wireFault) wireFault { f.virtual = true; return f }

// paced is for a fault after which net/http waits before it sends again. How long
// is not the SDK's choice.
func paced(f wireFault) wireFault { f.virtual, f.untimed = true, true; return f }

// warm plays a fault on n connections that have served before.
func warm(n int, f wireFault) wireFault {
	f.warm = n
	return f
}

func closes(*site, net.Conn) bool { return false }

func resets(_ *site, conn net.Conn) bool { reset(conn); return false }

// stays waits until the client has gone.
func stays(_ *site, conn net.Conn) bool {
	_, _ = io.Copy(io.Discard, conn)
	return false
}

func says1(text string) fault1 {
	return func(_ *site, conn net.Conn) bool { _, _ = io.WriteString(conn, text); return false }
}

// half sends a header and half of the response.
func half(header string, then fault1) fault1 {
	return func(s *site, conn net.Conn) bool {
		body := s.answer()
		_, _ = io.WriteString(conn, strings.ReplaceAll(header, "LENGTH", strconv.Itoa(len(body)))+body[:len(body)/2])
		return then(s, conn)
	}
}

const withLength = "HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n\r\n"

func well1(s *site, conn net.Conn) bool {
	body := s.answer()
	_, _ = io.WriteString(conn, strings.ReplaceAll(withLength, "LENGTH", strconv.Itoa(len(body)))+body)
	return true
}

// drips1 sends the response a byte at a time.
func drips1(pause time.Duration) fault1 {
	return func(s *site, conn net.Conn) bool {
		body := s.answer()
		for _, b := range []byte(strings.ReplaceAll(withLength, "LENGTH", strconv.Itoa(len(body))) + body) {
			apitest.Pass(pause)
			if _, err := conn.Write([]byte{b}); err != nil {
				return false
			}
		}
		return true
	}
}

var http1Faults = []wireFault{
	{name: "reset before the request was read", over: over1, set: func(s *site) {
		s.accept(s.listen(), func(conn net.Conn) {
			s.play()
			_, _ = conn.Read(make([]byte, 1)) // or the reset might end the dial
			reset(conn)
		})
	}},
	{name: "closed before the request was read", over: over1, races: true, set: func(s *site) {
		s.accept(s.listen(), func(net.Conn) { s.play() })
	}},
	after1("closed after the request was read", closes),
	after1("reset after the request was read", resets),
	after1("cut in the status line", says1("HTTP/1.1 2")),
	after1("cut in the header", says1("HTTP/1.1 200 OK\r\nContent-Ty")),
	after1("header of 300 KB", says1("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 300<<10)+"\r\n\r\n")),
	after1("not HTTP", says1("SSH-2.0-OpenSSH_9.9\r\n")),
	after1("two different lengths", says1("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")),
	after1("cut in the body", half(withLength, closes)),
	after1("reset in the body", half(withLength, resets)),
	after1("cut in a chunk", half("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", closes)),
	after1("cut in a body without length", half("HTTP/1.1 200 OK\r\n\r\n", closes)),
	slow(after1("no response", stays)),
	slow(after1("no end of the body", half(withLength, stays))),
	slow(after1("a byte a second", drips1(time.Second))),
	slow(after1("a byte a millisecond", drips1(time.Millisecond))),
	slow(after1("100 Continue again and again", func(_ *site, conn net.Conn) bool {
		for {
			apitest.Pass(time.Second)
			if _, err := io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return false
			}
		}
	})),
	warm(1, after1("closed after the request was read", closes)),
	warm(1, after1("reset after the request was read", resets)),
	warm(10, after1("closed after the request was read", closes)),
	warm(1, wireFault{name: "closed as the request goes out, then OK", over: over1, recovers: true, set: func(s *site) {
		s.accept(s.listen(), func(conn net.Conn) {
			s.serveH1(conn, func() bool { s.play(); return s.played.Load() > 1 }, well1)
		})
	}}),
	{name: "closed while idle, then OK", over: over1, virtual: true, recovers: true, warm: 1, set: func(s *site) {
		s.accept(s.listen(), func(conn net.Conn) { s.serveH1(conn, nil, well1) })
		s.before = func() { s.hangUp(); s.play(); synctest.Wait() } // until the client has noticed
	}},
}

type fault2 func(*site, stream)

// after2 hits a request over HTTP/2 that was read.
func after2(name string, fault fault2) wireFault {
	return wireFault{name: name, over: over2, afterRead: true, frames: true, set: func(s *site) {
		s.accept(s.listen("h2"), func(conn net.Conn) { s.serveH2(conn, fault) })
	}}
}

// then2 hits the first request only.
func then2(name string, fault fault2) wireFault {
	f := after2(name+", then OK", func(s *site, st stream) {
		if s.played.Load() == 1 {
			fault(s, st)
			return
		}
		well2(s, st)
	})
	f.recovers = true
	return f
}

func well2(s *site, st stream) { st.send(s.answer(), true) }

// rst ends the stream with an error code.
func rst(code http2.ErrCode) fault2 {
	return func(_ *site, st stream) { _ = st.WriteRSTStream(st.id, code) }
}

func hangsUp2(_ *site, st stream) { _ = st.conn.Close() }

func stays2(*site, stream) {}

// goAway names a last stream that is off the request's by so much.
func goAway(offset int, then fault2) fault2 {
	return func(s *site, st stream) {
		_ = st.WriteGoAway(uint32(int(st.id)+offset), http2.ErrCodeNo, nil)
		then(s, st)
	}
}

func half2(then fault2) fault2 {
	return func(s *site, st stream) {
		body := s.answer()
		st.send(body[:len(body)/2], false)
		then(s, st)
	}
}

var http2Faults = []wireFault{
	after2("closed after the request was read", hangsUp2),
	after2("reset after the request was read", func(_ *site, st stream) { reset(st.conn) }),
	paced(after2("GOAWAY, last stream below the request", goAway(-1, stays2))),
	then2("GOAWAY, last stream below the request", goAway(-1, stays2)),
	after2("GOAWAY, last stream the request, closed", goAway(0, hangsUp2)),
	after2("GOAWAY, last stream above the request, closed", goAway(2, hangsUp2)),
	after2("GOAWAY, last stream the request, then its response", goAway(0, well2)),
	paced(after2("RST_STREAM REFUSED_STREAM", rst(http2.ErrCodeRefusedStream))),
	then2("RST_STREAM REFUSED_STREAM", rst(http2.ErrCodeRefusedStream)),
	paced(after2("RST_STREAM PROTOCOL_ERROR", rst(http2.ErrCodeProtocol))),
	then2("RST_STREAM PROTOCOL_ERROR", rst(http2.ErrCodeProtocol)),
	after2("RST_STREAM INTERNAL_ERROR", rst(http2.ErrCodeInternal)),
	after2("RST_STREAM CANCEL", rst(http2.ErrCodeCancel)),
	after2("RST_STREAM ENHANCE_YOUR_CALM", rst(http2.ErrCodeEnhanceYourCalm)),
	after2("RST_STREAM NO_ERROR", rst(http2.ErrCodeNo)),
	after2("not HTTP/2", func(_ *site, st stream) {
		_, _ = io.WriteString(st.conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_ = st.conn.Close()
	}),
	after2("RST_STREAM INTERNAL_ERROR in the body", half2(rst(http2.ErrCodeInternal))),
	after2("cut in the body", half2(hangsUp2)),
	slow(after2("no response, except to pings", stays2)),
	slow(after2("no response, not even to pings", func(_ *site, st stream) { _, _ = io.Copy(io.Discard, st.conn) })),
	slow(after2("a byte a second", func(_ *site, st stream) {
		st.send("{", false)
		drip := http2.NewFramer(st.conn, nil) // the other one goes on reading and answering pings
		go func() {
			for drip.WriteData(st.id, false, []byte{' '}) == nil {
				apitest.Pass(time.Second)
			}
		}()
	})),
	warm(1, after2("closed after the request was read", hangsUp2)),
	warm(10, after2("closed after the request was read", hangsUp2)),
	warm(1, then2("RST_STREAM REFUSED_STREAM", rst(http2.ErrCodeRefusedStream))),
	warm(1, then2("RST_STREAM PROTOCOL_ERROR", rst(http2.ErrCodeProtocol))),
	warm(1, then2("GOAWAY, last stream below the request", goAway(-2, stays2))),
}

// answered is a response over HTTP/1 and HTTP/2.
func answered(name string, answer func(s *site, w http.ResponseWriter)) []wireFault {
	var both []wireFault
	for _, over := range []string{over1, over2} {
		both = append(both, wireFault{name: name, over: over, set: func(s *site) {
			s.handle(over, func(w http.ResponseWriter) { answer(s, w) })
		}})
	}
	return both
}

func waited(faults []wireFault) []wireFault {
	for i := range faults {
		faults[i].virtual = true
	}
	return faults
}

// says responds with a status, a body, and a header of name, value.
func says(status int, body string, header ...string) func(*site, http.ResponseWriter) {
	return func(_ *site, w http.ResponseWriter) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// zipped sends what change makes of the compressed response.
func zipped(change func([]byte) []byte) func(*site, http.ResponseWriter) {
	return func(s *site, w http.ResponseWriter) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(change(compress(s.answer())))
	}
}

func compress(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.Bytes()
}

// bomb is 40 times the size limit in some kilobytes.
var bomb = sync.OnceValue(func() []byte {
	return compress(`{"code":200,"data":"` + strings.Repeat("0", 40*smallLimit) + `"}`)
})

const smallLimit = 64 << 10

func answerFaults() []wireFault {
	all := [][]wireFault{
		answered("429", says(429, "")),
		waited(answered("429, Retry-After: 7", says(429, "", "Retry-After", "7"))),
		waited(answered("429, Retry-After: a date in 20 s", func(s *site, w http.ResponseWriter) {
			says(429, "", "Retry-After", time.Now().Add(20*time.Second).UTC().Format(http.TimeFormat))(s, w)
		})),
		waited(answered("429, Retry-After: 86400", says(429, "", "Retry-After", "86400"))),
		waited(answered("429, Retry-After: 18446744074", says(429, "", "Retry-After", "18446744074"))),
		waited(answered("429, Retry-After: soon", says(429, "", "Retry-After", "soon"))),
		answered("200 with code 429", says(200, `{"code":429,"msg":"too many"}`)),
		answered("200 with code 202", says(200, `{"code":202,"msg":"IP"}`)),
		answered("200 with code 500", says(200, `{"code":500,"msg":"oops"}`)),
		answered("500", says(500, "")),
		answered("500 with code 9", says(500, `{"code":9,"msg":"oops"}`)),
		answered("502 HTML", says(502, apitest.WebPage)),
		answered("503", says(503, "")),
		waited(answered("503, Retry-After: 7", says(503, "", "Retry-After", "7"))),
		waited(answered("503, Retry-After: 86400", says(503, "", "Retry-After", "86400"))),
		answered("504", says(504, "")),
		answered("520 HTML", says(520, apitest.WebPage)),
		answered("400", says(400, "")),
		answered("401", says(401, "")),
		answered("403 CDN page", says(403, apitest.WebPage, "Cf-Mitigated", "challenge")),
		answered("404", says(404, "")),
		answered("408", says(408, "")),
		answered("200 HTML", says(200, apitest.WebPage)),
		answered("200 empty", says(200, "")),
		answered("200 null", says(200, "null")),
		answered("200 without a code", says(200, `{"data":[]}`)),
		answered("200 with code 0 and no data", says(200, `{"code":0}`)),
		answered("204", says(204, "")),
		answered("gzip", zipped(func(b []byte) []byte { return b })),
		answered("gzip, cut", zipped(func(b []byte) []byte { return b[:len(b)-12] })),
		answered("gzip, wrong checksum", zipped(func(b []byte) []byte { b[len(b)-8] ^= 1; return b })),
		answered("gzip, but it is not", says(200, apitest.Fine, "Content-Encoding", "gzip")),
		limited(answered("gzip bomb", func(_ *site, w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb())
		})),
		limited(answered("above the size limit", says(200, `{"code":200,"data":"`+strings.Repeat("0", smallLimit)+`"}`))),
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		name := strconv.Itoa(status) + " to "
		all = append(all, answered(name+"the same host", func(s *site, w http.ResponseWriter) {
			says(status, "", "Location", s.url+"/elsewhere")(s, w)
		}), answered(name+"another host", func(s *site, w http.ResponseWriter) {
			says(status, "", "Location", s.otherHost())(s, w)
		}))
	}
	return concat(all...)
}

func limited(faults []wireFault) []wireFault {
	for i := range faults {
		set := faults[i].set
		faults[i].set = func(s *site) { s.opts = append(s.opts, proxylite.WithMaxResponse(smallLimit)); set(s) }
	}
	return faults
}

// changing: each attempt meets something else. What an earlier one may have done is not undone.
var changing = []wireFault{
	thenRefused("503", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
	thenRefused("code 429", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{\"code\":429}"),
	thenRefused("closed after the request was read", ""),
	after1("503, then code 9", func(s *site, conn net.Conn) bool {
		answer := "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"code\":9}"
		if s.played.Load() == 1 {
			answer = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
		}
		_, _ = io.WriteString(conn, answer)
		return true
	}),
}

func thenRefused(name, answer string) wireFault {
	return wireFault{name: name + ", then connection refused", over: over1, set: func(s *site) {
		s.accept(s.listen(), func(conn net.Conn) {
			s.serveH1(conn, nil, func(_ *site, conn net.Conn) bool {
				_, _ = io.WriteString(conn, answer)
				return false
			})
		})
		var dialer net.Dialer
		s.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if s.read.Load() > 0 {
				s.play()
				addr = "127.0.0.1:1"
			}
			return dialer.DialContext(ctx, network, addr)
		}
	}}
}

// within is a fault in a call whose context has so much time.
func within(d time.Duration, f wireFault) wireFault {
	set := f.set
	f.name = "deadline: " + f.name
	f.set = func(s *site) {
		ctx, cancel := context.WithTimeout(s.ctx, d)
		s.ctx = ctx
		s.t.Cleanup(cancel)
		set(s)
	}
	return f
}

// endedContexts: the context ends, at each stage of a call.
var endedContexts = []wireFault{
	{name: "canceled before the call", set: func(s *site) { s.url = "http://127.0.0.1:1"; s.play(); s.end() }},
	{name: "canceled while dialing", set: func(s *site) {
		s.url = "http://127.0.0.1"
		s.dial(func(ctx context.Context, _, _ string) (net.Conn, error) {
			s.end()
			<-ctx.Done()
			return nil, ctx.Err()
		})
	}},
	{name: "canceled in the TLS handshake", set: func(s *site) {
		s.accept(s.listen(), func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1))
			s.play()
			s.end()
			stays(s, conn)
		})
		s.url = "https" + strings.TrimPrefix(s.url, "http")
	}},
	after1("canceled before the response", func(s *site, conn net.Conn) bool { s.end(); return stays(s, conn) }),
	after2("canceled before the response", func(s *site, _ stream) { s.end() }),
	after1("canceled in the body", half(withLength, func(s *site, conn net.Conn) bool { s.end(); return stays(s, conn) })),
	after2("canceled in the body", half2(func(s *site, _ stream) { s.end() })),
	slow(after1("canceled in the backoff", func(s *site, conn net.Conn) bool {
		time.AfterFunc(time.Second, s.end)
		return says1("HTTP/1.1 503 Busy\r\nRetry-After: 20\r\nContent-Length: 0\r\n\r\n")(s, conn)
	})),
	slow(within(5*time.Second, wireFault{name: "while dialing", set: beforeHTTP[1].set})),
	slow(within(5*time.Second, after1("before the response", stays))),
	slow(within(5*time.Second, after1("in the body", half(withLength, stays)))),
	slow(within(5*time.Second, after1("within the Retry-After", says1("HTTP/1.1 503 Busy\r\nRetry-After: 20\r\nContent-Length: 0\r\n\r\n")))),
}
