package cli

import (
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go/pool"
)

// fetched is a response of "fetch".
type fetched struct {
	Status  int    `json:"status,omitempty"`
	Proxy   string `json:"proxy,omitempty"`
	Millis  int64  `json:"ms"` // until the header was there
	Bytes   int64  `json:"bytes"`
	Failure string `json:"error,omitempty"`
}

var fetchedColumns = []column[fetched]{
	{name: "status", value: func(x fetched) any {
		if x.Status == 0 {
			return nil
		}
		return x.Status
	}},
	{name: "proxy", value: func(x fetched) any { return x.Proxy }},
	{name: "ms", value: func(x fetched) any { return x.Millis }},
	{name: "bytes", value: func(x fetched) any { return x.Bytes }},
	{name: "error", value: func(x fetched) any { return x.Failure }},
}

func (a *app) fetchCmd() *cobra.Command {
	var (
		from     sourceFlags
		times    int
		withBody bool
	)
	cmd := &cobra.Command{
		Use:   "fetch URL",
		Short: "Get a URL through proxies: status, proxy used, time",
		Long: `Get a URL through the gateway as an account (--account), through newly extracted IPs
(--extract; spends quota), or through given ones (--proxy). Traffic of an account
counts against its limit. With --body the body is printed instead of a table.`,
		Example: "  proxylite fetch https://example.com --account bob --country US --times 3",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := a.source(cmd, &from, count(from.extract, "IP"))
			if err != nil {
				return err
			}
			p, err := pool.New(source, pool.WithConnectTimeout(a.timeout), pool.WithRotation(pool.PerRequest))
			if err != nil {
				return usage(err)
			}
			defer func() { _ = p.Close() }()
			client := &http.Client{Transport: p.Transport(), Timeout: 2 * a.timeout}
			if withBody {
				err = a.fetchBody(cmd, client, args[0])
			} else {
				err = a.fetchMany(cmd, client, args[0], times)
			}
			if spent := p.Stats().Spent; spent > 0 {
				a.note("spent: %s of quota", count(int(spent), "IP"))
			}
			return err
		},
	}
	from.flags(cmd)
	f := cmd.Flags()
	f.IntVar(&times, "times", 1, "how many requests")
	f.BoolVar(&withBody, "body", false, "print the body")
	cmd.MarkFlagsMutuallyExclusive("times", "body")
	return columnHelp(cmd, fetchedColumns)
}

func (a *app) fetchMany(cmd *cobra.Command, client *http.Client, url string, times int) error {
	a.live = true
	var failed error
	err := show(a, fetchedColumns, func(yield func(fetched, error) bool) {
		for range times {
			x, err := fetchOnce(cmd, client, url, io.Discard)
			if err != nil {
				failed = err
			}
			if !yield(x, nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return failed
}

func (a *app) fetchBody(cmd *cobra.Command, client *http.Client, url string) error {
	x, err := fetchOnce(cmd, client, url, stdout{a.out})
	if err != nil {
		return err
	}
	a.note("status %d, %d bytes, %d ms, through %s", x.Status, x.Bytes, x.Millis, x.Proxy)
	return nil
}

func fetchOnce(cmd *cobra.Command, client *http.Client, url string, body io.Writer) (fetched, error) {
	begun := time.Now()
	failed := func(err error) (fetched, error) {
		return fetched{Millis: time.Since(begun).Milliseconds(), Failure: err.Error()}, &codedError{exitNetwork, err}
	}
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return fetched{}, usage(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	x := fetched{Status: resp.StatusCode, Millis: time.Since(begun).Milliseconds()}
	if via, ok := pool.ViaOf(resp); ok {
		x.Proxy = via.Proxy
	}
	if x.Bytes, err = io.Copy(body, resp.Body); err != nil {
		return failed(err)
	}
	return x, nil
}
