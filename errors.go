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

// The errors to branch on, with errors.Is. Texts are for people and may change.
var (
	// ErrInvalidAppKey: the API does not accept the credential (code 3).
	ErrInvalidAppKey = errors.New("invalid app_key or token")
	// ErrNotVerified: the account has not passed real-name verification (code 156).
	ErrNotVerified = errors.New("account has not passed real-name verification")
	// ErrIPNotAllowed: the caller's IP is not on the allow list (code 202).
	// [Error.CallerIP] has the address to add where the API named it.
	ErrIPNotAllowed = errors.New("caller's IP is not on the allow list")
	// ErrVerificationNeeded: a second factor (code 348) or a phone
	// verification (286, 287) is asked for, which only the dashboard can give.
	ErrVerificationNeeded = errors.New("second factor or phone verification needed")
	// ErrRateLimited: too many requests. With code 429 the API has refused the
	// call; with HTTP status 429, of some box in between, the outcome is unknown.
	ErrRateLimited = errors.New("rate limited")
	// ErrOutcomeUnknown: a request may have reached the server and no answer
	// says what became of it. Before repeating a call that costs, look whether
	// it happened: list the orders, the accounts or the usage.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrMalformedResponse: the answer is not what the API documents: no
	// envelope, no code, cut, too large, or a value of the wrong kind.
	ErrMalformedResponse = errors.New("malformed answer")
	// ErrResponseTooLarge: the answer passed the bound of [WithMaxResponse]. It is
	// also an ErrMalformedResponse.
	ErrResponseTooLarge = errors.New("answer larger than the bound")
	// ErrInvalidInput: the input breaks a rule; nothing was sent. [InputError]
	// in the chain names fields and rules.
	ErrInvalidInput = errors.New("invalid input")
	// ErrRetryBudget: the call was not repeated because too many calls of this
	// client fail; see [RetryPolicy]. It accompanies the failure itself.
	ErrRetryBudget = errors.New("retry budget spent")
)

// Outcome tells what became of a failed call. Look at it before you buy again.
type Outcome int

const (
	// OutcomeNotSent means that no byte of a request reached the server.
	OutcomeNotSent Outcome = iota
	// OutcomeRejected means that the server, or what stands before it, said no.
	OutcomeRejected
	// OutcomeUnknown means that a request may have reached the server, and may
	// have taken effect.
	OutcomeUnknown
	// OutcomeSafe means the same of a call that changes nothing: it is safe to
	// call again.
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

// Kind is the class of a failure, one of few words: fit for a metric's label.
type Kind string

// The kinds of failure.
const (
	KindInput       Kind = "input"        // the input breaks a rule
	KindAPI         Kind = "api"          // the API answered with an error code
	KindRateLimited Kind = "rate_limited" // status or code 429
	KindServer      Kind = "server"       // 5xx, not from the API itself
	KindEdge        Kind = "edge"         // a page or refusal of the CDN or a proxy in front
	KindRedirect    Kind = "redirect"     // a redirect, which is never followed
	KindMalformed   Kind = "malformed"    // not the envelope, or a value of the wrong kind
	KindTooLarge    Kind = "too_large"    // larger than the bound
	KindTruncated   Kind = "truncated"    // the body was cut
	KindTimeout     Kind = "timeout"      // the attempt's clock or the context's deadline
	KindCanceled    Kind = "canceled"     // the context was canceled
	KindDial        Kind = "dial"         // no connection
	KindDNS         Kind = "dns"          // the name does not resolve
	KindTLS         Kind = "tls"          // the TLS handshake failed
	KindTransport   Kind = "transport"    // the connection broke
	KindConfig      Kind = "config"       // the client refused to send: see the text
)

// Error is the one type of a failed call; get it with errors.As, or
// errors.AsType[*proxylite.Error](err). No part of it ever holds the credential.
type Error struct {
	Operation string // e.g. "Accounts.List"
	Method    string // e.g. "GET"
	Route     string // the path without query, e.g. "/end-point/order/list"

	Kind    Kind
	Outcome Outcome

	Status  int             // HTTP status; 0 without an answer
	Code    int             // the API's error code; 0 without one
	Message string          // the API's msg or message, mostly Chinese; at most 4 KiB of it
	Details json.RawMessage // the API's errors member, of unknown shape; nil if larger than 64 KiB

	RetryAfter time.Duration // what the answer's Retry-After asked for; 0 without one
	Attempts   int           // requests that were tried
	Body       []byte        // the beginning of the answer, at most 4 KiB
	Header     http.Header   // of the answer; nil without one

	cause error
}

const codeInvalidKey = 3

// knownCodes has what the vendor's document and its family say about codes.
var knownCodes = map[int]struct {
	err  error
	text string
}{
	codeInvalidKey: {ErrInvalidAppKey, "app_key or token is invalid or has expired: copy it anew from the dashboard"},
	156:            {ErrNotVerified, "the account has not passed real-name verification: do so in the dashboard"},
	202:            {ErrIPNotAllowed, "the caller's IP is not on the allow list: add it in the dashboard"},
	286:            {ErrVerificationNeeded, "phone verification is needed: do so in the dashboard"},
	287:            {ErrVerificationNeeded, "phone verification is needed: do so in the dashboard"},
	348:            {ErrVerificationNeeded, "a second factor is needed: log in to the dashboard"},
	400:            {nil, "a parameter is wrong"},
	429:            {ErrRateLimited, "too many requests: wait before the next one"},
}

// NewError returns the error that a call returns for a response with this HTTP
// status, error code and message of the API, for mocks in your own tests. Kind,
// Outcome and what errors.Is matches are those of a real call of [ClassUnsafe]. A
// code of 0 means a response without an envelope, such as the page of a proxy.
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

// NewErrorLike returns an error of a call for which errors.Is(err, target) is true,
// for mocks in your own tests. The target is a sentinel of this package, or what a
// call that had no response may have failed with, such as context.DeadlineExceeded
// or a *net.OpError.
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

// Explanation is an English line for the codes we know; empty for others.
func (e *Error) Explanation() string { return knownCodes[e.Code].text }

// CallerIP returns the address that the API saw and does not allow, where its
// message names one: add it to the allow list.
func (e *Error) CallerIP() (netip.Addr, bool) {
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

// Error returns one line: operation, what went wrong, and the outcome.
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

// Unwrap returns the cause, for errors.Is and errors.As: a context's error, a
// *net.OpError, an *InputError and so on.
func (e *Error) Unwrap() error { return e.cause }

// Is matches the sentinels of this package.
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

// Timeout reports whether a clock ended the call, as [net.Error] does.
func (e *Error) Timeout() bool { return e.Kind == KindTimeout }

// LogValue gives slog the parts as attributes.
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

// transportKind names the class of a failure without a usable answer.
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
	errEndless = errors.New("the list has no end: stopped after 10000 pages; walk it with List")
	errRound   = errors.New("the list goes round: the API gave the same pages again and again; walk it with List")
)
