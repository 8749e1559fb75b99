// Command colly crawls a site with gocolly through a pool. It is a separate module, so
// that users of the SDK don't get colly's dependencies. It always runs against an
// in-process ProxyLite.
package main

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"time"

	"github.com/gocolly/colly/v2"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "colly:", err)
		os.Exit(1)
	}
}

func run() error {
	demo := proxylitetest.NewServer(nil)
	defer demo.Close()
	demoSite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<title>page %s</title>`, html.EscapeString(r.URL.Path))
		if r.URL.Path == "/" {
			for i := range 9 {
				_, _ = fmt.Fprintf(w, `<a href="/%d">next</a>`, i+1)
			}
		}
	}))
	defer demoSite.Close()

	p, err := pool.New(
		pool.Extract(demo.Client().IP, proxylite.IPExtractParams{Quantity: 5, Life: 30 * time.Minute}),
		pool.WithRotation(pool.PerRequest),
		pool.WithBanStatus(http.StatusForbidden, http.StatusTooManyRequests),
	)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()

	c := colly.NewCollector(colly.Async(true))
	// Use WithTransport, not SetProxyFunc: with a Proxy func, the transport would reuse
	// the tunnels of earlier requests.
	c.WithTransport(p.Transport())
	if err := c.Limit(&colly.LimitRule{DomainGlob: "*", Parallelism: 4}); err != nil {
		return err
	}
	var pages, failures atomic.Int32
	c.OnHTML("title", func(e *colly.HTMLElement) { pages.Add(1); fmt.Println(e.Text) })
	c.OnHTML("a[href]", func(e *colly.HTMLElement) { _ = e.Request.Visit(e.Attr("href")) })
	c.OnError(func(r *colly.Response, err error) { failures.Add(1); fmt.Println(r.Request.URL.Path, err) })
	if err := c.Visit(demoSite.URL + "/"); err != nil {
		return err
	}
	c.Wait()
	fmt.Printf("%d pages through %d proxies\n", pages.Load(), p.Stats().Fetched)
	if pages.Load() != 10 || failures.Load() > 0 {
		return fmt.Errorf("want 10 pages and no failures, got %d and %d", pages.Load(), failures.Load())
	}
	return nil
}
