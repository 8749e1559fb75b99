package proxylite_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/proxylite/proxylite-go"
)

// repetitions of what depends on luck; PROXYLITE_LONG=1 is for the long run.
func repetitions(short, long int) int {
	if os.Getenv("PROXYLITE_LONG") != "" {
		return long
	}
	return short
}

// A call that spends is read once by the server, whatever then befalls the
// connection, new or warm, and its error says that the outcome is unknown.
func TestSpendingIsReadOnce(t *testing.T) {
	t.Parallel()
	certificate()
	for _, f := range append(http1Faults, http2Faults...) {
		if !f.afterRead || f.clock || f.recovers || f.frames {
			continue
		}
		for _, f.warm = range []int{0, 1, 10} {
			// Ten TLS connections for a call take long; these are the faults after
			// which net/http would send again.
			if f.warm == 10 && f.over == over2 && repetitions(0, 1) == 0 &&
				!strings.Contains("closed after the request was read, GOAWAY, last stream below the request, "+
					"RST_STREAM REFUSED_STREAM, RST_STREAM PROTOCOL_ERROR", f.name) {
				continue
			}
			for _, op := range append(operations, textExtraction) {
				if op.repeat != proxylite.ClassUnsafe {
					continue
				}
				t.Run(f.title()+"/"+op.name, func(t *testing.T) {
					t.Parallel()
					for range repetitions(1, 20) {
						got := f.measure(t, op)
						require.Equal(t, 1, got.read)
						require.Equal(t, 1, got.tries)
						require.True(t, got.kind == "" || got.outcome == proxylite.OutcomeUnknown)
					}
				})
			}
		}
	}
}

// A server that closes an idle connection just as a call goes out on it.
func TestStaleConnections(t *testing.T) {
	t.Parallel()
	s := newSite(t, operations[0], false)
	s.accept(s.listen(), func(conn net.Conn) {
		s.serveH1(conn, nil, func(s *site, conn net.Conn) bool {
			well1(s, conn)
			time.AfterFunc(time.Duration(rand.IntN(300))*time.Microsecond, func() { _ = conn.Close() })
			return true
		})
	})
	c, err := proxylite.NewClient(proxylite.AppKey(testKey), proxylite.WithTransport(s.transport), proxylite.WithBaseURL(s.url))
	require.NoError(t, err)
	lost, ended := 0, map[string]error{}
	for i := range repetitions(20, 300) {
		for _, op := range operations {
			if op.repeat != proxylite.ClassUnsafe {
				continue
			}
			// The call before has left a connection that is about to close.
			_, _ = proxylite.Call[any](t.Context(), c, proxylite.Operation{Name: "Before", Method: "GET", Path: "/before", Class: proxylite.ClassSafe}, nil, nil)
			id := op.name + strconv.Itoa(i)
			_, ended[id] = op.call(t.Context(), c, proxylite.CallQuery("call", id))
		}
	}
	s.transport.CloseIdleConnections()
	s.hangUp()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, err := range ended {
		require.LessOrEqual(t, s.byCall[id], 1, "%s was paid twice", id)
		// The documented answer here is that of another operation, so some fail by it.
		if err == nil || asError(t, err).Status == 200 {
			require.Equal(t, 1, s.byCall[id], id)
			continue
		}
		require.ErrorIs(t, err, proxylite.ErrOutcomeUnknown)
		lost++
	}
	t.Logf("%d calls met a connection that closed", lost)
}

// What net/http does on its own, without the guard of this package. A change of Go
// shows here first.
func TestNetHTTPSendsAgain(t *testing.T) {
	t.Parallel()
	requests := []struct {
		name string
		make func(url string) *http.Request
	}{
		{"GET", plain("GET", nil)},
		{"GET, guarded", func(url string) *http.Request {
			r := plain("GET", nil)(url)
			r.Body = io.NopCloser(strings.NewReader(""))
			return r
		}},
		{"POST", plain("POST", strings.NewReader)},
		{"POST, guarded", func(url string) *http.Request {
			r := plain("POST", strings.NewReader)(url)
			r.GetBody = nil
			return r
		}},
		{"POST, Idempotency-Key", func(url string) *http.Request {
			r := plain("POST", strings.NewReader)(url)
			r.Header.Set("Idempotency-Key", "1")
			return r
		}},
		{"PUT", plain("PUT", strings.NewReader)},
		{"DELETE", plain("DELETE", nil)},
	}
	// A server that says so twenty times would go on.
	storm := func(fault fault2) fault2 {
		return func(s *site, st stream) {
			if s.played.Load() > 20 {
				well2(s, st)
				return
			}
			fault(s, st)
		}
	}
	for _, tt := range []struct {
		fault wireFault
		each  func(*http.Request, *http.Transport)
		want  []int // requests that the server read, in the order of requests
	}{
		{fault: after1("closed after the request was read", closes), want: []int{1, 1, 1, 1, 1, 1, 1}},
		{fault: warm(1, after1("closed after the request was read", closes)), want: []int{2, 1, 1, 1, 2, 1, 1}},
		{fault: warm(1, after1("reset after the request was read", resets)), want: []int{2, 1, 1, 1, 2, 1, 1}},
		{fault: warm(10, after1("closed after the request was read", closes)), want: []int{11, 1, 1, 1, 11, 1, 1}},
		{fault: warm(1, after1("closed, Request.Close", closes)), each: func(r *http.Request, _ *http.Transport) { r.Close = true }, want: []int{2, 1, 1, 1, 2, 1, 1}},
		{fault: warm(1, after1("closed, DisableKeepAlives", closes)), each: func(_ *http.Request, tr *http.Transport) { tr.DisableKeepAlives = true }, want: []int{1, 1, 1, 1, 1, 1, 1}},
		{fault: then2("RST_STREAM PROTOCOL_ERROR", rst(http2.ErrCodeProtocol)), want: []int{2, 1, 2, 1, 2, 2, 2}},
		{fault: warm(1, then2("RST_STREAM PROTOCOL_ERROR", rst(http2.ErrCodeProtocol))), want: []int{2, 1, 2, 1, 2, 2, 2}},
		{fault: then2("RST_STREAM REFUSED_STREAM", rst(http2.ErrCodeRefusedStream)), want: []int{2, 1, 2, 1, 2, 2, 2}},
		{fault: then2("GOAWAY, last stream below the request", goAway(-1, stays2)), want: []int{2, 1, 2, 1, 2, 2, 2}},
		{fault: after2("GOAWAY, last stream below, 20 times", storm(goAway(-1, stays2))), want: []int{21, 1, 21, 1, 21, 21, 21}},
		{fault: after2("RST_STREAM PROTOCOL_ERROR, 20 times", storm(rst(http2.ErrCodeProtocol))), want: []int{21, 1, 21, 1, 21, 21, 21}},
		{fault: then2("RST_STREAM CANCEL", rst(http2.ErrCodeCancel)), want: []int{1, 1, 1, 1, 1, 1, 1}},
		{fault: then2("RST_STREAM INTERNAL_ERROR", rst(http2.ErrCodeInternal)), want: []int{1, 1, 1, 1, 1, 1, 1}},
		{fault: then2("closed after the request was read", hangsUp2), want: []int{1, 1, 1, 1, 1, 1, 1}},
		{fault: then2("GOAWAY, last stream the request, closed", goAway(0, hangsUp2)), want: []int{1, 1, 1, 1, 1, 1, 1}},
	} {
		t.Run(tt.fault.title(), func(t *testing.T) {
			t.Parallel()
			var got []int
			for _, request := range requests {
				s := newSite(t, operations[0], false)
				tt.fault.set(s)
				client := &http.Client{Transport: s.transport}
				send := func(r *http.Request) error {
					resp, err := client.Do(r)
					if err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
					return err
				}
				s.warm(tt.fault.warm, func() error { return send(plain("GET", nil)(s.url + "/end-point/warm")) })
				r := request.make(s.url + "/end-point/spend/something")
				if tt.each != nil {
					tt.each(r, s.transport)
				}
				_ = send(r)
				s.transport.CloseIdleConnections()
				got = append(got, int(s.read.Load()))
			}
			if fmt.Sprint(tt.want) != fmt.Sprint(got) {
				names := ""
				for i, request := range requests {
					if got[i] != tt.want[i] {
						names += fmt.Sprintf("\n  %s: %d times, it was %d", request.name, got[i], tt.want[i])
					}
				}
				t.Errorf("net/http itself, without this package, now sends a request after %q:%s\n"+
					"This is no bug of the SDK: Go has changed what it sends again. See whether TestFaultMatrix and TestSpendingIsReadOnce "+
					"still pass; if so, correct the numbers here and in docs/reliability.md.", tt.fault.title(), names)
			}
		})
	}
}

func plain(method string, body func(string) *strings.Reader) func(url string) *http.Request {
	return func(url string) *http.Request {
		var b io.Reader
		if body != nil {
			b = body(`{"buy":1}`)
		}
		r, err := http.NewRequest(method, url, b)
		if err != nil {
			panic(err)
		}
		return r
	}
}

// A redirect of a POST with status 307 takes its body to any host, and this is how.
func TestNetHTTPFollowsRedirectsWithTheBody(t *testing.T) {
	t.Parallel()
	var bodies atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); len(b) > 0 {
			bodies.Add(1)
		}
	}))
	t.Cleanup(other.Close)
	for status, want := range map[int]int32{301: 0, 302: 0, 303: 0, 307: 1, 308: 1} {
		first := httptest.NewServer(http.RedirectHandler(other.URL, status))
		bodies.Store(0)
		resp, err := first.Client().Post(first.URL, "application/json", strings.NewReader(`{"app_key":"k"}`))
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, want, bodies.Load(), "net/http, without this package, changed what it does with a %d", status)
		first.Close()
	}
}
