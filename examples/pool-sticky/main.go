// Command pool-sticky uses one IP for each user: sticky sessions over a gateway, selected
// by a key in the context. It always runs against an in-process ProxyLite. For the real
// one, leave out Host to use pool.GatewayUS, and set your own account.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "pool-sticky:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	demo := proxylitetest.NewServer(nil)
	defer demo.Close()
	demoGateway := demo.Gateway()
	demoSite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "your cart")
	}))
	defer demoSite.Close()
	accounts, err := demo.Client().Accounts.List(ctx)
	if err != nil {
		return err
	}

	gateway := pool.Gateway{
		Account: accounts[0].Username, Password: accounts[0].Password,
		Host: demoGateway.Endpoint().Addr(),
		Area: "US", Life: 30 * time.Minute,
	}
	p, err := pool.New(gateway.Sessions(10)) // ten IPs at once
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()

	web := &http.Client{Transport: p.Transport(), Timeout: 20 * time.Second}
	for range 3 {
		for _, user := range []string{"ann", "ben"} {
			// All requests with this key use the same IP, as long as it lives.
			ctx := pool.WithSession(ctx, user)
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, demoSite.URL+"/cart/"+user, nil)
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
			fmt.Printf("%s sees: %s\n", user, body)
		}
	}

	sessions := map[string]int{}
	for _, r := range demoGateway.Requests() {
		sessions[r.Username]++
	}
	fmt.Println("sessions as the gateway saw them, with their requests:", sessions)
	return nil
}
