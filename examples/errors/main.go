// Command errors shows each kind of failure and what a program does about it. It
// always runs against a ProxyLite in this process, which fails on demand.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "errors:", err)
		os.Exit(1)
	}
}

// handle says what to do about a failed call. The order matters: whether the deed
// may have been done comes first where doing it again would cost.
func handle(err error) string {
	var input *proxylite.InputError
	var api *proxylite.Error
	switch {
	case errors.As(err, &input):
		return fmt.Sprintf("fix the program: %s is wrong", input.Problems[0].Field)
	case errors.Is(err, proxylite.ErrOutcomeUnknown):
		return "look whether it happened; do it again only if it did not, or costs nothing"
	case errors.Is(err, context.Canceled):
		return "nothing: we gave it up ourselves"
	case errors.Is(err, proxylite.ErrInvalidAppKey):
		return "stop, and have a person put a new key in"
	case errors.Is(err, proxylite.ErrNotVerified), errors.Is(err, proxylite.ErrVerificationNeeded):
		return "stop, and have a person go to the dashboard"
	case errors.Is(err, proxylite.ErrIPNotAllowed):
		if errors.As(err, &api) {
			if ip, ok := api.CallerIP(); ok {
				return fmt.Sprintf("add %s to the allow list in the dashboard", ip)
			}
		}
		return "add this machine's IP to the allow list in the dashboard"
	case errors.Is(err, proxylite.ErrRateLimited):
		if errors.As(err, &api) && api.RetryAfter > 0 {
			return fmt.Sprintf("do it again after %s", api.RetryAfter)
		}
		return "do it again after a minute"
	case errors.As(err, &api) && api.Outcome == proxylite.OutcomeNotSent:
		return "do it again later: nothing reached the API"
	case errors.As(err, &api) && api.Code != 0:
		return fmt.Sprintf("show it to a person: code %d, details %s", api.Code, api.Details)
	default:
		return "do it again later"
	}
}

func run(ctx context.Context) error {
	server := proxylitetest.NewServer(nil)
	defer server.Close()
	client := server.Client()
	order := func(ctx context.Context) error {
		_, err := client.Orders.Create(ctx, proxylite.OrderCreateParams{
			ProductID: 901, PaymentMethodID: new(int64(1)), Quantity: 1,
		})
		return err
	}
	list := func(ctx context.Context) error {
		_, err := client.Accounts.List(ctx)
		return err
	}
	extract := func(ctx context.Context) error {
		_, err := client.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 1})
		return err
	}

	for _, scene := range []struct {
		title     string
		operation string // whose next answers fail
		faults    []proxylitetest.Fault
		call      func(context.Context) error
	}{
		{"wrong input, found before it is sent", "", nil, func(ctx context.Context) error {
			return client.Accounts.ChangeLimit(ctx, "bob", 1500*proxylite.MB)
		}},
		{"wrong app_key", "", nil, func(ctx context.Context) error {
			stranger, err := proxylite.NewClient(proxylite.AppKey("00000000000000000000000000000000"), proxylite.WithBaseURL(server.URL))
			if err != nil {
				return err
			}
			_, err = stranger.Accounts.List(ctx)
			return err
		}},
		{"real-name verification missing", "Accounts.List", []proxylitetest.Fault{{Code: 156}}, list},
		{"second factor asked for", "Accounts.List", []proxylitetest.Fault{{Code: 348}}, list},
		{"this machine is not on the allow list", "IP.Extract", []proxylitetest.Fault{{Code: 202, Message: "请先添加白名单 IP:203.0.113.7"}}, extract},
		{"the API refuses a parameter", "", nil, func(ctx context.Context) error {
			return client.Accounts.ChangeLimit(ctx, "nobody", proxylite.GB)
		}},
		{"too many requests, come back in an hour", "Accounts.List", []proxylitetest.Fault{
			{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"3600"}}},
		}, list},
		{"a bad gateway, but only for a moment: the client repeats a read itself", "Accounts.List", []proxylitetest.Fault{
			{Status: http.StatusBadGateway},
		}, list},
		{"a bad gateway that lasts", "Accounts.List", []proxylitetest.Fault{
			{Status: http.StatusBadGateway}, {Status: http.StatusBadGateway}, {Status: http.StatusBadGateway},
		}, list},
		{"a web page in place of an answer", "Accounts.List", []proxylitetest.Fault{{Body: "<html>Just a moment...</html>"}}, list},
		{"the answer to an order is lost: it is not repeated", "Orders.Create", []proxylitetest.Fault{{After: true, Cut: true}}, order},
		{"no answer in time", "Orders.Create", []proxylitetest.Fault{{Delay: time.Minute}}, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return order(ctx)
		}},
		{"given up before it began", "", nil, func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return list(ctx)
		}},
		{"no connection", "", nil, func(ctx context.Context) error {
			gone := proxylitetest.NewServer(nil)
			gone.Close()
			_, err := gone.Client().Accounts.List(ctx)
			return err
		}},
	} {
		if len(scene.faults) > 0 {
			server.FailNext(scene.operation, scene.faults...)
		}
		fmt.Println(scene.title)
		if err := scene.call(ctx); err != nil {
			fmt.Printf("  error: %v\n  to do: %s\n\n", err, handle(err))
		} else {
			fmt.Print("  no error\n\n")
		}
	}
	return nil
}
