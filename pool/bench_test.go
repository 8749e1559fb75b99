package pool_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"testing"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
)

// BenchmarkPick measures what it costs to pick a proxy and to account for it, by
// one goroutine and by 64.
func BenchmarkPick(b *testing.B) {
	var endpoints []proxylite.Endpoint
	for port := range 50 {
		endpoints = append(endpoints, proxylite.Endpoint{Host: "10.0.0.1", Port: 1000 + port})
	}
	rotations := map[string]pool.Rotation{
		"round robin": pool.RoundRobin, "per host": pool.PerHost, "least used": pool.LeastUsed, "weighted": pool.Weighted,
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
