package pool_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// From extraction to traffic, against a ProxyLite in the process.
func Example() {
	server := proxylitetest.NewServer(nil)
	defer server.Close()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "hello") }))
	defer site.Close()

	client := server.Client() // in your program: proxylite.NewClient(proxylite.AppKey(key))
	p, err := pool.New(pool.Extract(client.IP, proxylite.IPExtractParams{Quantity: 3, Life: 30 * time.Minute}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = p.Close() }()

	web := &http.Client{Transport: p.Transport()}
	for range 6 {
		resp, err := web.Get(site.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
	}
	s := p.Stats()
	fmt.Println(s.Worked, "requests through", s.Spent, "proxies")
	// Output: 6 requests through 3 proxies
}

// A lease is one proxy for as long as you hold it.
func ExamplePool_Get() {
	p, err := pool.New(pool.Fixed(proxylite.Endpoint{Host: "203.0.113.7", Port: 8080, Username: "bob", Password: proxylite.NewPassword("secret")}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = p.Close() }()

	lease, err := p.Get(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("chromium --proxy-server=" + lease.Proxy().Endpoint.Addr())
	lease.Done(pool.Worked)
	// Output: chromium --proxy-server=203.0.113.7:8080
}

func ExampleGateway() {
	gateway := pool.Gateway{Account: "pl-bob", Password: proxylite.NewPassword("secret"), Area: "US", Life: 30 * time.Minute, Session: "a1"}
	user, err := gateway.Username()
	fmt.Println(user, err)

	gateway.Area = "us" // the gateway would ignore it, and pick any country
	_, err = gateway.Username()
	fmt.Println(err)
	// Output:
	// pl-bob_area-US_life-30_session-a1 <nil>
	// pool: Gateway.Area must be a country of two upper-case letters, such as "US" (got "us")
}

// A source of your own, and what a refusal looks like.
func ExampleSource() {
	p, err := pool.New(pool.Source{
		Size: 20, Costs: true,
		Fetch: func(context.Context, int) ([]pool.Proxy, error) {
			return nil, fmt.Errorf("%w: top it up", pool.ErrExhausted)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = p.Close() }()
	_, err = p.Get(context.Background())
	fmt.Println(errors.Is(err, pool.ErrStopped), err)
	// Output: true pool: pool has stopped fetching: balance or plan is exhausted: top it up
}
