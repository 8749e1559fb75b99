// Command pool fetches pages with net/http through a pool of extracted proxies, one of
// which fails during the run. It always runs against an in-process ProxyLite. For the real
// one, make the client with proxylite.NewClient, and remove everything that begins with
// demo.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "pool:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	demo := proxylitetest.NewServer(nil)
	defer demo.Close()
	demoSite := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello from the site")
	}))
	defer demoSite.Close()
	demoTransport := proxylite.NewTransport()
	demoTransport.TLSClientConfig = &tls.Config{RootCAs: demoSite.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	client := demo.Client()

	p, err := pool.New(
		pool.Extract(client.IP, proxylite.IPExtractParams{Quantity: 5, CountryCode: "US", Life: 30 * time.Minute}),
		pool.WithRotation(pool.PerRequest), // another proxy, and a new connection, for each request
		pool.WithQuota(100, time.Hour),     // never more than 100 IPs an hour
		pool.WithTransport(demoTransport),  // trusts the demo's certificate
		pool.WithBanStatus(http.StatusForbidden, http.StatusTooManyRequests),
	)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()

	web := &http.Client{Transport: p.Transport(), Timeout: 20 * time.Second}
	for page := range 10 {
		if page == 5 {
			demo.Proxies()[0].SetFault(proxylitetest.ProxyFault{Dead: true})
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/%d", demoSite.URL, page), nil)
		if err != nil {
			return err
		}
		resp, err := web.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		fmt.Printf("page %d: %s\n", page, body)
	}
	s := p.Stats()
	fmt.Printf("%d requests worked, %d went on through another proxy; %d IPs were paid for, %d of them not used\n", s.Worked, s.Retries, s.Spent, s.Wasted)
	return nil
}
