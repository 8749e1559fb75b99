// Command errors shows each kind of failure and how a program handles it. It always runs
// against an in-process ProxyLite, which fails on demand.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// handle says what to do about a failed call. The order matters: whatever the reason, a
// call that may have taken effect must not be made again before somebody has checked,
// unless it is idempotent, such as ChangeLimit.
func handle(err error) string {
	input, isInput := errors.AsType[*proxylite.InputError](err)
	e, isCall := errors.AsType[*proxylite.Error](err)
	switch {
	case isInput:
		return fmt.Sprintf("fix the program: %s is wrong", input.Problems[0].Field)
	case !isCall:
		return "it is no error of a call"
	case errors.Is(err, proxylite.ErrOutcomeUnknown) && e.RetryAfter > 0:
		return fmt.Sprintf("look whether it happened, after %s", e.RetryAfter)
	case errors.Is(err, proxylite.ErrOutcomeUnknown):
		return "look whether it happened; package purchase does so for orders"
	case errors.Is(err, proxylite.ErrInvalidAppKey):
		return "stop, and have a person put a new key in"
	case errors.Is(err, proxylite.ErrNotVerified), errors.Is(err, proxylite.ErrVerificationNeeded):
		return "stop, and have a person go to the dashboard"
	case errors.Is(err, proxylite.ErrIPNotAllowed):
		if ip, ok := e.CallerIP(); ok {
			return fmt.Sprintf("add %s to the allow list in the dashboard", ip)
		}
		return "add this machine's IP to the allow list in the dashboard"
	case errors.Is(err, context.Canceled):
		return "nothing: we gave it up ourselves"
	case errors.Is(err, proxylite.ErrRateLimited):
		return fmt.Sprintf("call again after %s", max(e.RetryAfter, time.Minute))
	case e.Outcome == proxylite.OutcomeNotSent:
		return "call again later: nothing reached the API"
	case e.Code != 0:
		return fmt.Sprintf("show it to a person: code %d, details %s", e.Code, e.Details)
	default:
		return "call again later"
	}
}

func main() {
	server := proxylitetest.NewServer(nil)
	defer server.Close()
	client := server.Client()
	ctx, cancel := context.WithCancel(context.Background())
	list := func() error { _, err := client.Accounts.List(ctx); return err }
	extract := func() error { _, err := client.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 1}); return err }
	limit := func() error { return client.Accounts.ChangeLimit(ctx, "nobody", proxylite.GB) }
	order := func() error {
		_, err := client.Orders.Create(ctx, proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: new(int64(1)), Quantity: 1})
		return err
	}
	busy := proxylitetest.Fault{Status: 429, Header: map[string][]string{"Retry-After": {"3600"}}}
	page := proxylitetest.Fault{Status: 502}

	for _, scene := range []struct {
		title     string
		operation string // the operation that fails
		faults    []proxylitetest.Fault
		call      func() error
	}{
		{"wrong input, found before it is sent", "", nil, func() error { return client.Accounts.ChangeLimit(ctx, "bob", 1500*proxylite.MB) }},
		{"wrong app_key", "Accounts.List", []proxylitetest.Fault{{Code: 3}}, list},
		{"real-name verification missing", "Accounts.List", []proxylitetest.Fault{{Code: 156}}, list},
		{"this machine is not on the allow list", "IP.Extract", []proxylitetest.Fault{{Code: 202, Message: "请先添加白名单 IP:203.0.113.7"}}, extract},
		{"the API refuses a parameter", "", nil, limit},
		{"a read is rate limited", "Accounts.List", []proxylitetest.Fault{busy}, list},
		{"an order is rate limited, which does not say that it was not placed", "Orders.Create", []proxylitetest.Fault{busy}, order},
		{"a bad gateway, but only for a moment: the client retries a read itself", "Accounts.List", []proxylitetest.Fault{page}, list},
		{"a bad gateway that lasts", "Accounts.List", []proxylitetest.Fault{page, page, page}, list},
		{"the response to an order is lost: it is not retried", "Orders.Create", []proxylitetest.Fault{{After: true, Cut: true}}, order},
		{"given up before it began", "", nil, func() error { cancel(); return list() }},
	} {
		if len(scene.faults) > 0 {
			server.FailNext(scene.operation, scene.faults...)
		}
		fmt.Println(scene.title)
		if err := scene.call(); err != nil {
			fmt.Printf("  error: %v\n  to do: %s\n\n", err, handle(err))
		} else {
			fmt.Print("  no error\n\n")
		}
	}
}
