// Command browser visits a site with chromedp, once in each of two sessions, through a
// local proxy over a pool. Where no browser is found, it prints how to use the proxy with
// curl. It is a separate module, so that users of the SDK don't get chromedp's
// dependencies. It always runs against an in-process ProxyLite.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	demo := proxylitetest.NewServer(nil)
	defer demo.Close()
	demoSite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<title>before</title><script>document.title = "a page with a script"</script>`)
	}))
	defer demoSite.Close()

	p, err := pool.New(
		pool.Extract(demo.Client().IP, proxylite.IPExtractParams{Quantity: 3, CountryCode: "US", Life: 30 * time.Minute}),
		pool.WithQuota(100, time.Hour),
	)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()

	for _, session := range []string{"session-ann", "session-ben"} {
		// A browser sends no user name, so each session has a port of its own.
		local, err := localproxy.New(p, localproxy.WithDefaultUser(session), localproxy.WithPrivateTargets()) // the demo's site is on loopback
		if err != nil {
			return err
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = local.Serve(listener)
		}()
		err = visit(ctx, listener.Addr().String(), demoSite.URL)
		_ = local.Close()
		<-served
		if err != nil {
			return err
		}
	}
	for _, s := range p.Sessions() {
		fmt.Println(s.Name, "went through", s.Proxy)
	}
	return nil
}

// visit prints the title of a page.
func visit(ctx context.Context, proxy, url string) error {
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ProxyServer(proxy),
		chromedp.Flag("proxy-bypass-list", "<-loopback>"), // the demo's site is on loopback
	)
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(ctx, opts...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.Navigate(url))
	if errors.Is(err, exec.ErrNotFound) {
		fmt.Printf("No browser is installed. Instead: curl -x http://%s %s\n", proxy, url)
		return nil
	}
	if err != nil {
		return err
	}
	title, err := chromedp.Run(ctx, chromedp.Title())
	if err == nil {
		fmt.Printf("%s: %q\n", proxy, title)
	}
	return err
}
