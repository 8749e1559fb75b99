package pool_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// BenchmarkPick measures what it costs to pick a proxy and to account for it, by
// one goroutine and by 64.
func BenchmarkPick(b *testing.B) {
	var endpoints []proxylite.Endpoint
	for port := range 50 {
		endpoints = append(endpoints, proxylite.Endpoint{Host: "10.0.0.1", Port: 1000 + port})
	}
	rotations := map[string]pool.Rotation{
		"round robin": pool.RoundRobin, "per host": pool.PerHost, "least used": pool.LeastUsed, "weighted": pool.Weighted, "fastest": pool.Fastest,
	}
	get := func(ctx context.Context, p *pool.Pool) error {
		l, err := p.GetFor(ctx, "target.test")
		if err == nil {
			l.Done(pool.Worked)
		}
		return err
	}
	req := &http.Request{URL: &url.URL{Scheme: "https", Host: "target.test"}}
	for _, goroutines := range []int{1, 64} {
		run := func(name string, rotation pool.Rotation, f func(context.Context, *pool.Pool) error) {
			b.Run(fmt.Sprintf("%s/%d", name, goroutines), func(b *testing.B) {
				p, err := pool.New(pool.Fixed(endpoints...), pool.WithRotation(rotation))
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = p.Close() }()
				ctx := context.Background()
				if name == "session" {
					ctx = pool.WithSession(ctx, "bob")
				}
				if err := f(ctx, p); err != nil { // fetches
					b.Fatal(err)
				}
				time.Sleep(10 * time.Millisecond)
				b.ReportAllocs()
				if goroutines == 1 {
					for b.Loop() {
						_ = f(ctx, p)
					}
					return
				}
				b.SetParallelism(max(1, goroutines/runtime.GOMAXPROCS(0)))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := f(ctx, p); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
		for name, rotation := range rotations {
			run(name, rotation, get)
		}
		run("session", pool.RoundRobin, get)
		run("proxy func", pool.RoundRobin, func(_ context.Context, p *pool.Pool) error {
			_, err := p.Proxy(req)
			return err
		})
	}
}

// BenchmarkTransport measures requests of a client with a timeout through 20 proxies on
// loopback, by 64 goroutines, beside what one would write by hand: a round robin over one
// http.Transport for each proxy.
func BenchmarkTransport(b *testing.B) {
	for _, name := range []string{"http", "https", "https over HTTP2"} {
		secure := name != "http"
		site := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
		site.Config.ErrorLog = quiet
		site.EnableHTTP2 = name == "https over HTTP2"
		if secure {
			site.StartTLS()
		} else {
			site.Start()
		}
		template := proxylite.NewTransport()
		if secure {
			template.TLSClientConfig = &tls.Config{RootCAs: site.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
		}
		var endpoints []proxylite.Endpoint
		var byHand handMade
		for range 20 {
			proxy := proxylitetest.NewProxy(b, proxylitetest.ProxyOptions{})
			endpoints = append(endpoints, proxy.Endpoint())
			tr := template.Clone()
			tr.Proxy = http.ProxyURL(proxy.Endpoint().HTTP())
			byHand.transports = append(byHand.transports, tr)
		}
		p, err := pool.New(pool.Fixed(endpoints...), pool.WithTransport(template))
		if err != nil {
			b.Fatal(err)
		}
		for _, way := range []struct {
			name string
			rt   http.RoundTripper
		}{{"by hand", &byHand}, {"pool", p.Transport()}} {
			client := &http.Client{Transport: way.rt, Timeout: time.Minute}
			b.Run(name+"/"+way.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						req, _ := http.NewRequest(http.MethodGet, site.URL, nil)
						resp, err := client.Do(req)
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				})
			})
		}
		_ = p.Close()
		for _, tr := range byHand.transports {
			tr.CloseIdleConnections()
		}
		site.Close()
	}
}

// BenchmarkPosts measures what it costs that a POST has a connection of its own, as it
// is never sent twice.
func BenchmarkPosts(b *testing.B) {
	site := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer site.Close()
	template := proxylite.NewTransport()
	template.TLSClientConfig = &tls.Config{RootCAs: site.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	p, err := pool.New(pool.Fixed(proxylitetest.NewProxy(b, proxylitetest.ProxyOptions{}).Endpoint()), pool.WithTransport(template))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for name, ctx := range map[string]context.Context{"once": b.Context(), "repeatable": pool.Repeatable(b.Context())} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, site.URL, strings.NewReader("order"))
				resp, err := p.Transport().RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}

type handMade struct {
	turns      atomic.Uint64
	transports []*http.Transport
}

func (h *handMade) RoundTrip(req *http.Request) (*http.Response, error) {
	return h.transports[h.turns.Add(1)%uint64(len(h.transports))].RoundTrip(req)
}
