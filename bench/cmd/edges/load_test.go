package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/proxylite/proxylite-go"
)

// What each fault of an edge shows up as.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	abort := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	for _, tt := range []struct {
		name string
		edge func(w http.ResponseWriter, forward func(http.ResponseWriter))
		want string // among the problems of the calls that spend; empty where there must be none
	}{
		{"none", func(w http.ResponseWriter, forward func(http.ResponseWriter)) { forward(w) }, ""},
		{"forwards twice", func(w http.ResponseWriter, forward func(http.ResponseWriter)) {
			forward(httptest.NewRecorder())
			forward(w)
		}, "8 were received more than once"},
		{"refuses", func(w http.ResponseWriter, _ func(http.ResponseWriter)) { http.Error(w, "no", http.StatusForbidden) }, "8 failed"},
		{"loses the request", func(w http.ResponseWriter, _ func(http.ResponseWriter)) { abort(w) }, "8 failed as unknown, but were never received"},
		{"loses the response", func(w http.ResponseWriter, forward func(http.ResponseWriter)) {
			forward(httptest.NewRecorder())
			abort(w)
		}, "8 failed"},
		{"answers by itself", func(w http.ResponseWriter, _ func(http.ResponseWriter)) {
			_, _ = w.Write([]byte(`{"code":0,"message":"ok","data":{"id":1,"trade_no":"1","list":[]}}`))
		}, "8 succeeded, but were never received"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t)
			target, err := url.Parse("http://" + o.addr)
			if err != nil {
				t.Fatal(err)
			}
			forward := httputil.NewSingleHostReverseProxy(target)
			edge := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				well := func(w http.ResponseWriter) {
					again := r.Clone(r.Context())
					again.Body = io.NopCloser(bytes.NewReader(body))
					forward.ServeHTTP(w, again)
				}
				if strings.HasSuffix(r.URL.Path, "/whitelist-account/list") { // a read, which the SDK would retry
					well(w)
					return
				}
				tt.edge(w, well)
			}))
			edge.EnableHTTP2 = true
			edge.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that nobody needs any more
			edge.StartTLS()
			t.Cleanup(edge.Close)
			roots := x509.NewCertPool()
			roots.AddCert(edge.Certificate())

			for _, newClient := range []func(string, *x509.CertPool) (client, error){sdk, handWritten} {
				o.reset(0)
				c, err := newClient(edge.URL, roots)
				if err != nil {
					t.Fatal(err)
				}
				results := load{goroutines: 2, calls: 32, duration: time.Minute}.run(t.Context(), c)
				c.close()
				reads, spends := judge(results, o.received())
				if problems := reads.problems(); reads.calls != 24 || problems != nil {
					t.Errorf("%s: %d reads, problems: %q", c.name, reads.calls, problems)
				}
				problems := strings.Join(spends.problems(), "\n")
				if spends.calls != 8 || tt.want == "" && problems != "" || !strings.Contains(problems, tt.want) {
					t.Errorf("%s: %d calls that spend, problems:\n%s", c.name, spends.calls, problems)
				}
			}
		})
	}
}

// A client that sends, and says that it did not.
func TestFalseNotSentIsFound(t *testing.T) {
	t.Parallel()
	reads, _ := judge(
		[]result{{what: read, id: "1", err: &proxylite.Error{Outcome: proxylite.OutcomeNotSent}}},
		[]request{{id: "1"}})
	if got := strings.Join(reads.problems(), "\n"); !strings.Contains(got, "1 failed as not sent, but were received") {
		t.Error(got)
	}
}

// A load ends with its context, however many calls are left.
func TestLoadEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := client{call: func(context.Context, string, string) error { cancel(); return nil }}
	if n := len(load{goroutines: 2, calls: 1 << 20, duration: time.Minute}.run(ctx, c)); n > 2 {
		t.Errorf("%d calls after the end of the context", n)
	}
}
