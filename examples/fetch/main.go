// Command fetch extracts proxy IPs and fetches a page through one of them, over HTTP and
// over SOCKS5. For many requests, use package pool, which extracts, rotates and replaces
// IPs by itself.
//
// Extraction spends quota, so with the real API it needs -write.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/examples/internal/start"
)

func main() {
	f := fetcher{}
	flag.BoolVar(&f.write, "write", false, "with the real API: spend quota")
	flag.StringVar(&f.target, "url", "https://api.ipify.org", "what to fetch")
	flag.StringVar(&f.params.CountryCode, "country", "US", "`code` of the country to extract in")
	flag.IntVar(&f.params.Quantity, "num", 3, "how many IPs to extract")
	flag.DurationVar(&f.params.Life, "life", 30*time.Minute, "how long they are to last")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := f.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}

type fetcher struct {
	write  bool
	target string
	params proxylite.IPExtractParams
	tls    *tls.Config // nil means the default
}

func (f *fetcher) run(ctx context.Context) error {
	api, err := start.Open(os.Stdout)
	if err != nil {
		return err
	}
	defer api.Close()
	if !api.Writes(f.write) {
		fmt.Println("Extraction spends quota: run with -write to do it.")
		return nil
	}
	if api.Demo != nil {
		site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "Hello from the target site!")
		}))
		defer site.Close()
		f.target, f.tls = site.URL, &tls.Config{RootCAs: site.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	}

	extracted, err := api.IP.Extract(ctx, f.params)
	switch {
	case errors.Is(err, proxylite.ErrOutcomeUnknown):
		return fmt.Errorf("the quota may be spent, so this is not tried again: %w", err)
	case errors.Is(err, proxylite.ErrIPNotAllowed):
		return fmt.Errorf("add this machine to the allow list in the dashboard: %w", err)
	case err != nil:
		return err
	case len(extracted.Endpoints) == 0:
		return errors.New("the stock is empty: try another country")
	}
	fmt.Println("extracted:", extracted.Endpoints)
	for _, entry := range extracted.Rejected {
		fmt.Println("not an endpoint:", entry)
	}

	// The same port serves both protocols.
	for _, scheme := range []string{"http", "socks5"} {
		if err := f.fetchThroughAny(ctx, scheme, extracted.Endpoints); err != nil {
			return err
		}
	}
	return nil
}

// fetchThroughAny tries the endpoints in turn, since an endpoint may fail at any time.
func (f *fetcher) fetchThroughAny(ctx context.Context, scheme string, endpoints []proxylite.Endpoint) error {
	var failures []error
	for _, e := range endpoints {
		body, err := f.fetch(ctx, e.URL(scheme))
		if err == nil {
			fmt.Printf("%s through %s %s: %q\n", f.target, scheme, e, body)
			return nil
		}
		failures = append(failures, fmt.Errorf("through %s: %w", e, err))
	}
	return errors.Join(failures...)
}

// fetch uses a separate transport for each proxy. A shared one would reuse connections
// through another proxy.
func (f *fetcher) fetch(ctx context.Context, proxy *url.URL) (string, error) {
	transport := &http.Transport{
		Proxy:           http.ProxyURL(proxy),
		TLSClientConfig: f.tls,
		// Without this, the error of a refused CONNECT has only the reason phrase, which
		// may be "OK".
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("the proxy refused with status %d", resp.StatusCode)
			}
			return nil
		},
	}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 20 * time.Second}

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.target, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the site responded with %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	return string(body), err
}
