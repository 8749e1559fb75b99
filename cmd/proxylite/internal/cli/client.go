package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// errDryRun ends a command whose next request is not sent because of --dry-run.
var errDryRun = errors.New("dry run: not sent")

var errNotApproved = &codedError{exitUsage, errors.New("not confirmed: nothing was sent")}

// connect returns a client with the credential of the environment or of a login.
func (a *app) connect() (*proxylite.Client, error) {
	var credential proxylite.Credential
	if a.demo {
		server := proxylitetest.NewServer(nil)
		a.onClose = append(a.onClose, server.Close)
		credential, a.baseURL = proxylite.AppKey(server.Key), server.URL
		a.note("demo: a server in this process with made-up data; nothing is real and nothing is kept")
	} else {
		var err error
		if credential, err = a.credential(); err != nil {
			return nil, err
		}
	}
	return a.client(credential)
}

func (a *app) client(credential proxylite.Credential) (*proxylite.Client, error) {
	transport := proxylite.NewTransport()
	transport.Proxy = http.ProxyFromEnvironment
	opts := []proxylite.Option{
		proxylite.WithTransport(transport),
		proxylite.WithUserAgent("proxylite-cli"),
		proxylite.WithAttemptTimeout(a.timeout),
		proxylite.WithMiddleware(a.gate),
		proxylite.WithObserver(func(ctx context.Context, start proxylite.CallInfo) (context.Context, func(proxylite.CallInfo)) {
			return context.WithValue(ctx, operationKey{}, start.Operation), nil
		}),
	}
	if a.dryRun {
		opts = append(opts, proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 1}))
	}
	if a.verbose {
		opts = append(opts, proxylite.WithLogger(slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	}
	if base := cmp.Or(a.baseURL, os.Getenv("PROXYLITE_BASE_URL")); base != "" {
		opts = append(opts, proxylite.WithBaseURL(base))
	}
	zone, err := a.zone()
	if err != nil {
		return nil, err
	}
	client, err := proxylite.NewClient(credential, append(opts, proxylite.WithTimeZone(zone))...)
	if err != nil {
		return nil, usage(err)
	}
	return client, nil
}

// zone is the time zone of the API's times.
func (a *app) zone() (*time.Location, error) {
	if a.timeZone == "" {
		return time.FixedZone("UTC+8", 8*60*60), nil
	}
	zone, err := time.LoadLocation(a.timeZone)
	if err != nil {
		return nil, usage(fmt.Errorf("--time-zone %q is not known: use a name such as Asia/Shanghai or UTC", a.timeZone))
	}
	return zone, nil
}

type operationKey struct{}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// gate lets through what reads. Everything else passes only when it is approved, and is
// printed in a dry run. It sees requests without the credential.
func (a *app) gate(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		name, _ := req.Context().Value(operationKey{}).(string)
		switch {
		case reads(name):
			return next.RoundTrip(req)
		case a.dryRun:
			if err := a.printRequest(req); err != nil {
				return nil, err
			}
			if name == "Orders.Create" || name == "IP.Extract" || name == rawName {
				return nil, errDryRun // their response can't be made up
			}
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(`{"code":0}`)), Request: req,
			}, nil
		case !a.approved:
			return nil, errNotApproved
		}
		return next.RoundTrip(req)
	})
}

// printRequest prints a request that is not sent, without passwords.
func (a *app) printRequest(req *http.Request) error {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return err
		}
	}
	text := req.Method + " " + req.URL.String()
	if len(body) > 0 {
		if !a.showSecrets {
			body = maskRequest(body)
		}
		text += " " + string(body)
	}
	a.note("dry run: would send %s", text)
	return nil
}

// maskRequest hides the passwords of a JSON body. The accounts to add are a list of
// name:password.
func maskRequest(body []byte) []byte {
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&fields) != nil {
		return []byte("(a body that is not a JSON object)")
	}
	if accounts, ok := fields["accounts"].(string); ok {
		logins := strings.Split(accounts, ",")
		for i, login := range logins {
			if name, _, ok := strings.Cut(login, ":"); ok {
				logins[i] = name + ":" + hidden
			}
		}
		fields["accounts"] = strings.Join(logins, ",")
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return []byte("(a body that can't be shown)")
	}
	return maskJSON(text)
}
