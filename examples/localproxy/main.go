// Command localproxy serves a pool on a loopback port, for browsers, curl and programs in
// any language. By default it makes a few requests to show what comes of them, and ends;
// with -serve it goes on until Ctrl-C. It always runs against an in-process
// ProxyLite. For the real one, make the client with proxylite.NewClient, and remove
// everything that begins with demo.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	serve := flag.Bool("serve", false, "serve until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *addr, *serve)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "localproxy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string, serve bool) error {
	demoSite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "hello, whoever sent this through a proxy")
	}))
	defer demoSite.Close()
	demo := proxylitetest.NewServer(nil)
	defer demo.Close()
	client := demo.Client()

	p, err := pool.New(
		pool.Extract(client.IP, proxylite.IPExtractParams{Quantity: 3, CountryCode: "US", Life: 30 * time.Minute}),
		pool.WithQuota(100, time.Hour), // never more than 100 IPs an hour
	)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()

	local, err := localproxy.New(p,
		localproxy.WithBytes(10<<30),    // never more than 10 GiB
		localproxy.WithPrivateTargets(), // demo: the site is on loopback
	)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- local.Serve(listener) }()

	at := listener.Addr().String()
	fmt.Printf("curl -x http://%s %s\n", at, demoSite.URL)
	fmt.Printf("curl -x http://session-a1:@%s %s\n", at, demoSite.URL)
	fmt.Printf("chromium --proxy-server=%s --proxy-bypass-list='<-loopback>' %s\n", at, demoSite.URL)
	if serve {
		<-ctx.Done()
	} else if err := requests(ctx, at, demoSite.URL); err != nil {
		return err
	}

	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := local.Shutdown(ending); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	for _, s := range local.Sessions() {
		fmt.Printf("%s: %d requests\n", s.Name, s.Requests)
	}
	fmt.Println(local.Stats().Requests, "requests,", p.Stats().Spent, "IPs spent")
	return nil
}

// requests shows what other programs get.
func requests(ctx context.Context, proxy, target string) error {
	for _, user := range []string{"", "", "session-a1", "session-a1", "sessions"} {
		via := &url.URL{Scheme: "http", Host: proxy, User: url.UserPassword(user, "")}
		tr := &http.Transport{Proxy: http.ProxyURL(via), DisableKeepAlives: true}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return err
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		fmt.Printf("user name %-12q status %d: %.60s\n", user, resp.StatusCode, body)
	}
	return nil
}
