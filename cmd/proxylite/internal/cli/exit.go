package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/purchase"
)

// The exit codes. They are part of the interface: scripts branch on them.
const (
	exitOK         = 0
	exitFailure    = 1
	exitUsage      = 2
	exitCredential = 3
	exitNotAllowed = 4
	exitRateLimit  = 5
	exitUnknown    = 6
	exitPartly     = 7
	exitNetwork    = 8
	exitNotFound   = 9
)

var exitMeanings = [...]string{
	exitOK:         "success",
	exitFailure:    "failure",
	exitUsage:      "wrong usage, or refused: nothing was sent",
	exitCredential: "no credential, or the API does not accept it",
	exitNotAllowed: "not allowed: IP not on the allow list, or a verification is missing",
	exitRateLimit:  "rate limited",
	exitUnknown:    "outcome unknown: check before you repeat what spends",
	exitPartly:     "partly done",
	exitNetwork:    "network failure",
	exitNotFound:   "nothing found",
}

func exitCodes() string {
	var b strings.Builder
	for code, meaning := range exitMeanings {
		fmt.Fprintf(&b, "  %d  %s\n", code, meaning)
	}
	return strings.TrimRight(b.String(), "\n")
}

// codedError is an error of the command itself, with its exit code.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func usage(err error) error { return &codedError{exitUsage, err} }

func refused(format string, args ...any) error {
	return &codedError{exitUsage, fmt.Errorf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &codedError{exitNotFound, fmt.Errorf(format, args...)}
}

func partly(format string, args ...any) error {
	return &codedError{exitPartly, fmt.Errorf(format, args...)}
}

func exitCode(err error) int {
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	for _, c := range []struct {
		code    int
		targets []error
	}{
		{exitOK, []error{nil, errDryRun, errPipe}},
		{exitUnknown, []error{proxylite.ErrOutcomeUnknown, purchase.ErrAmbiguous}},
		{exitCredential, []error{proxylite.ErrInvalidAppKey}},
		{exitNotAllowed, []error{proxylite.ErrNotVerified, proxylite.ErrIPNotAllowed, proxylite.ErrVerificationNeeded}},
		{exitRateLimit, []error{proxylite.ErrRateLimited}},
		{exitUsage, []error{
			proxylite.ErrInvalidInput, purchase.ErrBudget, purchase.ErrImmediatePayment,
			purchase.ErrKeyUsed, purchase.ErrRenewed,
		}},
	} {
		for _, target := range c.targets {
			if errors.Is(err, target) {
				return c.code
			}
		}
	}
	if api, ok := errors.AsType[*proxylite.Error](err); ok {
		switch api.Kind {
		case proxylite.KindDial, proxylite.KindDNS, proxylite.KindTLS, proxylite.KindTimeout,
			proxylite.KindTransport, proxylite.KindTruncated:
			return exitNetwork
		}
	}
	return exitFailure
}

// ofFlags names the flags where package purchase names the fields of its structs.
var ofFlags = strings.NewReplacer(
	"Policy.PaysLater", "--pays-later", "set Limit.AcceptImmediatePayment", "use --accept-immediate-payment", "MaxPay", "--max-pay")

// report prints an error to stderr and returns its exit code.
func (a *app) report(err error) int {
	code := exitCode(err)
	if code == exitOK {
		return code
	}
	next := nextAction(code, err)
	message := err.Error()
	if errors.Is(err, purchase.ErrBudget) || errors.Is(err, purchase.ErrImmediatePayment) {
		message = ofFlags.Replace(message)
	}
	api, _ := errors.AsType[*proxylite.Error](err)
	if a.jsonErrors {
		out := struct {
			Code       int    `json:"code"` // exit code
			Kind       string `json:"kind"`
			Outcome    string `json:"outcome,omitempty"`
			Operation  string `json:"operation,omitempty"`
			Status     int    `json:"status,omitempty"`
			APICode    int    `json:"api_code,omitempty"`
			APIMessage string `json:"api_message,omitempty"`
			Message    string `json:"message"`
			Next       string `json:"next,omitempty"`
		}{Code: code, Kind: exitMeanings[code], Message: message, Next: next}
		if api != nil {
			out.Kind, out.Outcome, out.Operation = string(api.Kind), api.Outcome.String(), api.Operation
			out.Status, out.APICode, out.APIMessage = api.Status, api.Code, api.Message
		}
		text, _ := json.Marshal(out) // of texts and numbers
		fmt.Fprintln(a.err, string(text))
		return code
	}
	if !strings.HasPrefix(message, "proxylite: ") {
		message = "proxylite: " + message
	}
	a.note("%s", message)
	if next != "" {
		a.note("next: %s", next)
	}
	return code
}

// nextAction says what a person can do about an error, unless its text says so.
func nextAction(code int, err error) string {
	api, _ := errors.AsType[*proxylite.Error](err)
	switch {
	case code == exitUnknown:
		return nextOfUnknown(api, err)
	case code == exitCredential && api != nil:
		return "copy the app_key of the dashboard again, then: proxylite login"
	case errors.Is(err, proxylite.ErrIPNotAllowed):
		address := "this machine's address"
		if addr, ok := api.CallerIP(); ok {
			address = addr.String()
		}
		return "add " + address + " to the allow list in the dashboard"
	case code == exitNotAllowed:
		return "log in to the dashboard and complete the verification"
	case code == exitRateLimit:
		if api != nil && api.RetryAfter > 0 {
			return "wait " + api.RetryAfter.String() + ", then run it again"
		}
		return "wait a minute, then run it again"
	case code == exitNetwork:
		return "check the network and the proxy settings (HTTPS_PROXY) of this machine"
	case errors.Is(err, fs.ErrPermission):
		return "check the owner and the mode of the file"
	}
	return ""
}

// nextOfUnknown says what a person can do if the outcome is unknown.
func nextOfUnknown(api *proxylite.Error, err error) string {
	_, isUncertain := errors.AsType[uncertainError](err)
	switch {
	case isUncertain:
		return `in a few minutes: proxylite orders reconcile, or the same "orders buy" with this key, which buys nothing twice`
	case errors.Is(err, purchase.ErrAmbiguous):
		return "look at the orders in the dashboard, then: proxylite orders settle KEY TRADE_NO (or --none)"
	case api == nil:
		return ""
	}
	where := map[string]string{
		"Orders.Create": `"proxylite orders list"`, "Accounts.Add": `"proxylite accounts list"`,
		"IP.Extract": "the dashboard, and count the quota as spent",
	}[api.Operation]
	return "do not repeat it yet: look what became of it in " + cmp.Or(where, "the dashboard")
}
