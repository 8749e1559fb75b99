package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go"
)

// The calls that are made under load.
const (
	read    = "Accounts.List"
	create  = "Orders.Create"
	extract = "IP.Extract"
)

// client makes a call whose request has the id in its query.
type client struct {
	name string
	call func(ctx context.Context, what, id string) error
	// close ends its connections.
	close func()
}

const (
	sdkName = "proxylite"

	key = "0123456789abcdef0123456789abcdef" // proxylitetest's

	// attemptTimeout is for one request, so that a load ends.
	attemptTimeout = 10 * time.Second
)

// transport is the same for both clients.
func transport(roots *x509.CertPool) *http.Transport {
	t := proxylite.NewTransport()
	t.TLSClientConfig = &tls.Config{RootCAs: roots}
	return t
}

// sdk is the client of this repository as it comes.
func sdk(baseURL string, roots *x509.CertPool) (client, error) {
	c, err := proxylite.NewClient(proxylite.AppKey(key), proxylite.WithBaseURL(baseURL),
		proxylite.WithTransport(transport(roots)), proxylite.WithAttemptTimeout(attemptTimeout))
	if err != nil {
		return client{}, err
	}
	call := func(ctx context.Context, what, id string) error {
		opt := proxylite.CallQuery("call", id)
		var err error
		switch what {
		case create:
			_, err = c.Orders.Create(ctx, proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: new(int64(1))}, opt)
		case extract:
			_, err = c.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 1}, opt)
		default:
			_, err = c.Accounts.List(ctx, opt)
		}
		return err
	}
	return client{sdkName, call, c.CloseIdleConnections}, nil
}

// handWritten is what a user would write with net/http alone. It is what the SDK
// is compared with.
func handWritten(baseURL string, roots *x509.CertPool) (client, error) {
	c := &http.Client{Transport: transport(roots), Timeout: attemptTimeout}
	call := func(ctx context.Context, what, id string) error {
		query := "?" + url.Values{"app_key": {key}, "call": {id}}.Encode()
		var req *http.Request
		var err error
		switch what {
		case create:
			req, err = http.NewRequestWithContext(ctx, http.MethodPost, baseURL+"/end-point/order/create"+query, strings.NewReader(`{"pid":901,"pm_id":1}`))
		case extract:
			req, err = http.NewRequestWithContext(ctx, http.MethodGet, baseURL+"/end-point/ip/v3"+query, nil)
		default:
			req, err = http.NewRequestWithContext(ctx, http.MethodGet, baseURL+"/end-point/whitelist-account/list"+query, nil)
		}
		if err != nil {
			return err
		}
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Content-Type", "application/json")
		resp, err := c.Do(req)
		if failure, ok := errors.AsType[*url.Error](err); ok {
			return failure.Err // without the URL, which differs for each call
		}
		defer resp.Body.Close()
		var envelope struct{ Code *int }
		if err := json.NewDecoder(resp.Body).Decode(&envelope); err != nil {
			return fmt.Errorf("status %d: %w", resp.StatusCode, err)
		}
		if resp.StatusCode != http.StatusOK || envelope.Code == nil || *envelope.Code != 0 && *envelope.Code != 200 {
			return fmt.Errorf("status %d, or an error code", resp.StatusCode)
		}
		return nil
	}
	return client{"net/http", call, c.CloseIdleConnections}, nil
}
