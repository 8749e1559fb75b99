package proxylite

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go/internal/redact"
	"github.com/proxylite/proxylite-go/internal/transport"
	"github.com/proxylite/proxylite-go/internal/wire"
)

// Errors to test for with errors.Is. Their texts may change.
var (
	// ErrInvalidAppKey means that the API does not accept the credential (code 3).
	ErrInvalidAppKey = errors.New("invalid app_key or token")
	// ErrNotVerified means that the account has not passed real-name verification
	// (账户未实名认证, code 156).
	ErrNotVerified = errors.New("account has not passed real-name verification")
	// ErrIPNotAllowed means that the caller's IP is not on the allow list (白名单, code 202).
	// If the API names the address, [Error.CallerIP] returns it.
	ErrIPNotAllowed = errors.New("caller's IP is not on the allow list")
	// ErrVerificationNeeded means that the account needs a second factor (code 348)
	// or a phone verification (286, 287). Both are done in the dashboard.
	ErrVerificationNeeded = errors.New("second factor or phone verification needed")
	// ErrRateLimited means that there were too many requests. If the API refused the
	// call with code 429, the outcome is OutcomeRejected. An HTTP status 429 comes from
	// an intermediary, so the outcome is unknown.
	ErrRateLimited = errors.New("rate limited")
	// ErrOutcomeUnknown means that a request may have taken effect, but no response
	// says so. Before you retry a call that costs money or quota, check whether it
	// succeeded: list the orders, the accounts or the usage.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrMalformedResponse means that a response with a success status is not valid:
	// it has no envelope or no code, is a web page, is truncated or too large, or has a
	// value of the wrong type.
	ErrMalformedResponse = errors.New("malformed response")
	// ErrResponseTooLarge means that the response exceeds [WithMaxResponse], or that
	// its values would take too much memory. Such an error is also an
	// ErrMalformedResponse.
	ErrResponseTooLarge = errors.New("response too large")
	// ErrInvalidInput means that the input is invalid and nothing was sent. The error
	// wraps an [InputError], which lists the problems.
	ErrInvalidInput = errors.New("invalid input")
	// ErrRetryBudget means that the call was not retried because the retry budget of
	// the client is spent; see [RetryPolicy]. The error also has the failure itself.
	ErrRetryBudget = errors.New("retry budget spent")
)

// Outcome says whether a failed call may have taken effect. Check it before you buy
// again.
type Outcome int

// The order of the constants matters: call.worst is the highest outcome of all attempts.

const (
	// OutcomeNotSent means that no byte of a request reached the server.
	OutcomeNotSent Outcome = iota
	// OutcomeRejected means that the API or an intermediary refused the call.
	OutcomeRejected
	// OutcomeUnknown means that a request may have reached the server, and may
	// have taken effect.
	OutcomeUnknown
	// OutcomeSafe means that a request may have reached the server, but that the call
	// changes nothing. It is safe to retry.
	OutcomeSafe
)

// String returns "not_sent", "rejected", "unknown" or "safe".
func (o Outcome) String() string {
	switch o {
	case OutcomeNotSent:
		return "not_sent"
	case OutcomeRejected:
		return "rejected"
	case OutcomeSafe:
		return "safe"
	default:
		return "unknown"
	}
}

// Kind is the kind of a failure. It has few values, so it can be a metric label.
type Kind string

// The kinds of failure.
const (
	KindInput       Kind = "input"        // the input is invalid
	KindAPI         Kind = "api"          // the API returned an error code
	KindRateLimited Kind = "rate_limited" // status or code 429
	KindServer      Kind = "server"       // status 5xx without an error code of the API
	KindEdge        Kind = "edge"         // a refusal or a web page from a CDN or proxy
	KindRedirect    Kind = "redirect"     // a redirect, which is never followed
	KindMalformed   Kind = "malformed"    // not a valid response of the API
	KindTooLarge    Kind = "too_large"    // the response exceeds a limit
	KindTruncated   Kind = "truncated"    // the body is incomplete
	KindTimeout     Kind = "timeout"      // the attempt timeout or the deadline of the context passed
	KindCanceled    Kind = "canceled"     // the context was canceled
	KindDial        Kind = "dial"         // no connection could be made
	KindDNS         Kind = "dns"          // the host name could not be resolved
	KindTLS         Kind = "tls"          // the TLS handshake failed
	KindTransport   Kind = "transport"    // the connection broke
	KindConfig      Kind = "config"       // the client refused to send; the text says why
)

// Error is the error of a failed call. Get it with errors.As or
// errors.AsType[*proxylite.Error](err). No part of it contains the credential.
type Error struct {
	Operation string // e.g. "Accounts.List"
	Method    string // e.g. "GET"
	Route     string // the path without query, e.g. "/end-point/order/list"

	Kind    Kind
	Outcome Outcome

	Status  int             // HTTP status; 0 if there was no response
	Code    int             // error code of the API; 0 if there was none
	Message string          // message of the API, mostly in Chinese; at most the first 4 KiB
	Details json.RawMessage // the "errors" of the response, in no documented form; nil if over 64 KiB

	RetryAfter time.Duration // from the Retry-After header; 0 if there was none
	Attempts   int           // number of attempts, sent or not
	Body       []byte        // the first 4 KiB of the response
	Header     http.Header   // header of the response; nil if there was none

	cause error
}

const codeInvalidKey = 3

// knownCodes are the error codes that the documents of the vendor and of its sister
// brands name.
var knownCodes = map[int]struct {
	err  error
	text string
}{
	codeInvalidKey: {ErrInvalidAppKey, "app_key or token is invalid or has expired: copy it again from the dashboard"},
	156:            {ErrNotVerified, "the account has not passed real-name verification: do so in the dashboard"},
	202:            {ErrIPNotAllowed, "the caller's IP is not on the allow list: add it in the dashboard"},
	286:            {ErrVerificationNeeded, "phone verification is needed: do so in the dashboard"},
	287:            {ErrVerificationNeeded, "phone verification is needed: do so in the dashboard"},
	348:            {ErrVerificationNeeded, "a second factor is needed: log in to the dashboard"},
	400:            {nil, "a parameter is wrong"},
	429:            {ErrRateLimited, "too many requests: wait before the next one"},
}

// NewError returns an error for mocks in tests. It is the error of a [ClassUnsafe] call
// that gets a response with this HTTP status and this error code and message of the
// API: it has the same Kind and Outcome and matches the same errors. If code is 0, the
// response has no envelope, like the error page of a proxy.
func NewError(status, code int, message string) *Error {
	r := reply{status: status, env: wire.Envelope{Code: code, HasCode: code != 0, Message: message}}
	v := r.verdict()
	if !fromAPI(status) {
		code, message = 0, ""
	}
	return &Error{
		Operation: "mock", Method: http.MethodPost, Route: "/mock", Attempts: 1,
		Kind: v.kind, Outcome: v.outcome, Status: status, Code: code, Message: message, cause: v.why,
	}
}

// NewErrorLike returns an error for mocks in tests for which errors.Is(err, target) is
// true. The target is an error variable of this package, such as [ErrRateLimited], or
// the reason why a call got no response, such as context.DeadlineExceeded or a
// *net.OpError. Like [NewError], it returns the error of a [ClassUnsafe] call: for one
// of a read that got no response, set Outcome to [OutcomeSafe].
func NewErrorLike(target error) *Error {
	for code, known := range knownCodes {
		if known.err != nil && known.err == target {
			return NewError(http.StatusOK, code, known.text)
		}
	}
	switch target {
	case ErrOutcomeUnknown:
		return NewError(http.StatusBadGateway, 0, "")
	case ErrMalformedResponse:
		return NewError(http.StatusOK, 0, "")
	case ErrResponseTooLarge:
		e := NewError(http.StatusOK, 0, "")
		e.Kind, e.cause = KindTooLarge, target
		return e
	case ErrRetryBudget:
		e := NewError(http.StatusServiceUnavailable, 0, "")
		e.cause = target
		return e
	case ErrInvalidInput:
		return &Error{Operation: "mock", Method: http.MethodPost, Route: "/mock", Kind: KindInput, cause: &InputError{}}
	}
	return &Error{
		Operation: "mock", Method: http.MethodPost, Route: "/mock", Attempts: 1,
		Kind: transportKind(target), Outcome: OutcomeUnknown, cause: target,
	}
}

// Explanation returns an English explanation of the error code, or "" if the code is
// unknown. The text of Error contains it.
func (e *Error) Explanation() string { return knownCodes[e.Code].text }

// CallerIP returns the address to add to the allow list after an [ErrIPNotAllowed]. ok
// is false if the API's message does not name the address.
func (e *Error) CallerIP() (addr netip.Addr, ok bool) {
	if !errors.Is(e, ErrIPNotAllowed) {
		return netip.Addr{}, false
	}
	for word := range strings.FieldsFuncSeq(e.Message, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'f' || 'A' <= r && r <= 'F' || r == '.' || r == ':')
	}) {
		if addr, err := netip.ParseAddr(strings.Trim(word, ".:")); err == nil {
			return addr, true
		}
		if addr, err := netip.ParseAddr(strings.TrimRight(strings.TrimLeft(word, ":"), ".")); err == nil {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// Error describes the failure in one line: the operation, the reason and the outcome.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("proxylite: " + e.Operation + ": ")
	sep := ""
	part := func(s string) {
		if s != "" {
			b.WriteString(sep + s)
			sep = ": "
		}
	}
	if e.Code != 0 {
		part("code " + strconv.Itoa(e.Code))
		part(e.Explanation())
	}
	if e.Message != "" && e.Code != 0 {
		part(strconv.QuoteToGraphic(clip(e.Message, 300)))
	}
	if e.cause != nil {
		part(e.cause.Error())
	}
	if sep == "" {
		part(string(e.Kind))
	}
	b.WriteString(" (")
	if e.Status != 0 {
		fmt.Fprintf(&b, "status %d, ", e.Status)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "retry after %s, ", e.RetryAfter)
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, "%d attempts, ", e.Attempts)
	}
	switch {
	case e.Outcome == OutcomeSafe:
		b.WriteString("safe to retry)")
	default:
		b.WriteString("outcome " + strings.ReplaceAll(e.Outcome.String(), "_", " ") + ")")
	}
	return b.String()
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// Unwrap returns the cause, such as context.Canceled, a *net.OpError or an
// *InputError. It may be nil.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether the error matches target, an error variable of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrOutcomeUnknown:
		return e.Outcome == OutcomeUnknown
	case ErrRateLimited:
		return e.Kind == KindRateLimited
	case ErrMalformedResponse:
		switch e.Kind {
		case KindMalformed, KindTooLarge, KindTruncated:
			return true
		}
		return e.Kind == KindEdge && e.Status < 400
	case ErrResponseTooLarge:
		return e.Kind == KindTooLarge
	}
	return target != nil && target == knownCodes[e.Code].err
}

// Timeout reports whether the call timed out, like the method of [net.Error].
func (e *Error) Timeout() bool { return e.Kind == KindTimeout }

// LogValue returns the error as a group of attributes, for slog.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("operation", e.Operation), slog.String("kind", string(e.Kind)),
		slog.String("outcome", e.Outcome.String()), slog.Int("attempts", e.Attempts),
	}
	if e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	if e.Code != 0 {
		attrs = append(attrs, slog.Int("code", e.Code))
	}
	if e.Message != "" {
		attrs = append(attrs, slog.String("message", clip(e.Message, 300)))
	}
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	return slog.GroupValue(append(attrs, slog.String("error", e.Error()))...)
}

// transportKind returns the kind of a failure without a usable response.
func transportKind(err error) Kind {
	if inner := redact.Inner(err); inner != nil {
		if kind := transportKind(inner); kind != KindTransport {
			return kind
		}
	}
	var netErr net.Error
	var opErr *net.OpError
	var dnsErr *net.DNSError
	var certErr *tls.CertificateVerificationError
	var headerErr tls.RecordHeaderError
	var alert tls.AlertError
	var readErr *wire.ReadError
	switch {
	case errors.Is(err, transport.ErrRefused):
		return KindConfig
	case errors.Is(err, context.Canceled):
		return KindCanceled
	case errors.As(err, &dnsErr):
		return KindDNS
	case errors.As(err, &certErr), errors.As(err, &headerErr), errors.As(err, &alert), errors.Is(err, http.ErrSchemeMismatch):
		return KindTLS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return KindTimeout
	case errors.As(err, &opErr) && (opErr.Op == "dial" || opErr.Op == "proxyconnect"):
		return KindDial
	case errors.As(err, &opErr) && opErr.Op == "remote error":
		return KindTLS
	case errors.As(err, &readErr):
		return KindTruncated
	}
	return KindTransport
}

var (
	errEndless = errors.New("stopped after 10000 pages: the list does not end, read it with List")
	errRound   = errors.New("the API returned the same pages again and again: read the list with List")
)
