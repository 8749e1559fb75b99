package proxylite_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// Every code we know has its sentinel, and an English line in the error's text.
func TestKnownCodes(t *testing.T) {
	t.Parallel()
	sentinels := []error{
		proxylite.ErrInvalidAppKey, proxylite.ErrNotVerified, proxylite.ErrIPNotAllowed, proxylite.ErrVerificationNeeded, proxylite.ErrRateLimited,
	}
	for code, tt := range map[string]struct {
		is   error
		text string
	}{
		"3": {sentinels[0], "app_key or token is invalid"}, "156": {sentinels[1], "real-name verification"},
		"202": {sentinels[2], "not on the allow list"}, "286": {sentinels[3], "phone verification"}, "287": {sentinels[3], "phone verification"},
		"348": {sentinels[3], "second factor"}, "429": {sentinels[4], "too many requests"}, "400": {nil, "a parameter is wrong"},
		"12345": {nil, ""}, "-1": {nil, ""},
	} {
		c, _ := apitest.Mocked(t, 200, `{"code":`+code+`,"msg":"说明"}`, apitest.TryOnce)
		_, err := c.Accounts.List(t.Context())
		e := apitest.AsError(t, err)
		for _, sentinel := range sentinels {
			require.Equal(t, sentinel == tt.is, errors.Is(err, sentinel), "%s %v", code, sentinel)
		}
		require.Contains(t, e.Explanation(), tt.text)
		require.Equal(t, tt.text == "", e.Explanation() == "")
		require.Contains(t, err.Error(), e.Explanation())
		require.Contains(t, err.Error(), `"说明" (status 200, outcome rejected)`)
		require.Contains(t, err.Error(), "code "+code+":")
	}
}

func TestCallerIP(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"请先添加白名单 IP:203.0.113.7。":                             "203.0.113.7",
		"Please add IP (2001:db8::7) in the allow list first": "2001:db8::7",
		"203.0.113.9: please add":                             "203.0.113.9",
		"Please add 203.0.113.8.":                             "203.0.113.8",
		"IP:2001:db8::9.":                                     "2001:db8::9", "IP:2001:db8::": "2001:db8::",
		"Please add IP in the allow list first: code 202 at 1.2": "",
		"": "",
	} {
		c, _ := apitest.Mocked(t, 200, `{"code":202,"msg":"`+message+`"}`)
		_, err := c.Accounts.List(t.Context())
		addr, ok := apitest.AsError(t, err).CallerIP()
		require.Equal(t, want != "", ok, message)
		if ok {
			require.Equal(t, want, addr.String(), message)
		}
	}
	c, _ := apitest.Mocked(t, 200, `{"code":9,"msg":"server 203.0.113.7 is down"}`)
	_, err := c.Accounts.List(t.Context())
	_, ok := apitest.AsError(t, err).CallerIP()
	require.False(t, ok, "only for the refusal that is about it")
}

// Details keep the errors member as sent, and both names of a message are read.
func TestErrorKeepsWhatTheAPISaid(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][2]string{
		`{"code":400,"message":"参数错误","errors":{"num":["x"]}}`: {"参数错误", `{"num":["x"]}`},
		`{"errors":[1, 2],"msg":"a","message":"b","code":400}`: {"a", `[1, 2]`},
		`{"code":400,"msg":"","message":"b","errors":null}`:    {"b", ""},
		`{"code":400,"msg":null,"message":7}`:                  {"7", ""},
		`{"code":400,"msg":{"en":"x"}}`:                        {`{"en":"x"}`, ""},
	} {
		c, _ := apitest.Mocked(t, 422, body)
		_, err := c.Accounts.List(t.Context())
		e := apitest.AsError(t, err)
		require.Equal(t, want, [2]string{e.Message, string(e.Details)}, body)
		require.Equal(t, 400, e.Code)
		require.Equal(t, body, string(e.Body))
	}
}

func TestErrorTextIsOneShortLine(t *testing.T) {
	t.Parallel()
	c, _ := apitest.Mocked(t, 200, `{"code":9,"msg":"a\n`+strings.Repeat("爬", 400)+`"}`)
	_, err := c.Accounts.List(t.Context())
	require.NotContains(t, err.Error(), "\n")
	require.Less(t, len(err.Error()), 450)
	require.True(t, strings.HasSuffix(err.Error(), `爬…" (status 200, outcome rejected)`), err)

	c, _ = apitest.Mocked(t, 403, strings.Repeat(" ", 10)+apitest.WebPage+strings.Repeat("x", 9000))
	_, err = c.Accounts.List(t.Context())
	require.EqualError(t, err, `proxylite: Accounts.List: a web page, not the API: "Just a moment..." (status 403, outcome rejected)`)
	require.Len(t, apitest.AsError(t, err).Body, 4096)

	c, _ = apitest.Mocked(t, 200, "<p>no title</p>")
	_, err = c.Accounts.List(t.Context())
	require.EqualError(t, err, "proxylite: Accounts.List: a web page, not the API: HTML (status 200, safe to retry)")

	c, _ = apitest.Mocked(t, 429, "", apitest.TryOnce)
	_, err = c.Accounts.List(t.Context())
	require.EqualError(t, err, "proxylite: Accounts.List: rate_limited (status 429, safe to retry)")
}

func TestErrorIsALogValue(t *testing.T) {
	t.Parallel()
	c, _ := apitest.Mocked(t, 200, `{"code":9,"msg":"no"}`)
	_, err := c.Accounts.List(t.Context())
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Error("failed", "err", err)
	require.Contains(t, out.String(), `err.operation=Accounts.List err.kind=api err.outcome=rejected err.attempts=1 err.status=200 err.code=9 err.message=no err.error="proxylite`)

	out.Reset()
	err = c.Orders.Close(t.Context(), "")
	slog.New(slog.NewTextHandler(&out, nil)).Error("failed", "err", err)
	require.Contains(t, out.String(), `err.outcome=not_sent err.attempts=0 err.error="proxylite: Orders.Close: invalid input: tradeNo: is required (outcome not sent)"`)
}

// What lies below stays reachable with errors.Is, without the URL that net/http
// wraps around it.
func TestErrorKeepsItsCause(t *testing.T) {
	t.Parallel()
	var opErr *net.OpError
	refused := httptest.NewServer(nil)
	refused.Close()
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), apitest.TryOnce, proxylite.WithBaseURL(refused.URL))
	require.NoError(t, err)
	_, err = c.Accounts.List(t.Context())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorAs(t, err, &opErr)

	// A cause whose text had to be cleaned keeps errors.Is alone.
	_, err = apitest.Playing(apitest.Breaks(&net.OpError{Op: "read", Net: apitest.Key, Err: os.ErrDeadlineExceeded})).Client(t, apitest.TryOnce).Accounts.List(t.Context())
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NotErrorIs(t, err, io.EOF)
	require.False(t, errors.As(err, &opErr) && strings.Contains(opErr.Error(), apitest.Key))
	require.Equal(t, proxylite.KindTimeout, apitest.AsError(t, err).Kind)
	require.NotContains(t, err.Error(), apitest.Key)
}

func TestKindsOfTransportFailure(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cause error
		kind  proxylite.Kind
	}{
		{context.Canceled, proxylite.KindCanceled},
		{context.DeadlineExceeded, proxylite.KindTimeout},
		{os.ErrDeadlineExceeded, proxylite.KindTimeout},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, proxylite.KindTimeout},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, proxylite.KindDial},
		{&net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED}, proxylite.KindDial},
		{&net.OpError{Op: "dial", Err: &net.DNSError{}}, proxylite.KindDNS},
		{&tls.CertificateVerificationError{Err: errors.New("x")}, proxylite.KindTLS},
		{tls.RecordHeaderError{}, proxylite.KindTLS},
		{tls.AlertError(40), proxylite.KindTLS},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, proxylite.KindTLS},
		{http.ErrSchemeMismatch, proxylite.KindTLS},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, proxylite.KindTransport},
		{io.EOF, proxylite.KindTransport},
		{errors.New("x"), proxylite.KindTransport},
	} {
		_, err := apitest.Playing(apitest.Breaks(tt.cause)).Client(t, apitest.TryOnce).Accounts.List(t.Context())
		e := apitest.AsError(t, err)
		require.Equal(t, tt.kind, e.Kind, "%v", tt.cause)
		require.Equal(t, tt.kind == proxylite.KindTimeout, e.Timeout())
		require.ErrorIs(t, err, tt.cause)
	}
}

func TestOutcomesHaveNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "not_sent", proxylite.OutcomeNotSent.String())
	require.Equal(t, "rejected", proxylite.OutcomeRejected.String())
	require.Equal(t, "unknown", proxylite.OutcomeUnknown.String())
}

// Through a middleware that goes wrong the call still ends with an error.
func TestATransportThatBreaksTheRules(t *testing.T) {
	t.Parallel()
	both := func(*http.Request) (*http.Response, error) {
		resp, _ := apitest.Reply(200, apitest.Fine)(nil)
		return resp, errors.New("both")
	}
	closed := false
	noBody := func(*http.Request) (*http.Response, error) {
		resp, _ := apitest.Reply(200, "")(nil)
		resp.Body = body{func() { closed = true }}
		return resp, nil
	}
	_, err := apitest.Playing(both).Client(t, apitest.TryOnce).User.Info(t.Context())
	require.ErrorContains(t, err, "both")
	_, err = apitest.Playing(noBody).Client(t, apitest.TryOnce).User.Info(t.Context())
	require.ErrorContains(t, err, "the response is empty")
	require.True(t, closed, "the body is closed")
	_, err = apitest.Playing(apitest.Breaks(nil)).Client(t, apitest.TryOnce).User.Info(t.Context())
	require.ErrorContains(t, err, "neither a response nor an error")
}

type body struct{ onClose func() }

func (body) Read([]byte) (int, error) { return 0, io.EOF }
func (b body) Close() error           { b.onClose(); return nil }

// Every number can be a code: none of them reads as "no code".
func TestACodeOfMinusOneIsACode(t *testing.T) {
	t.Parallel()
	c, _ := apitest.Mocked(t, 200, `{"code":-1,"message":"余额不足","data":null}`)
	e := apitest.AsError(t, c.Orders.Close(t.Context(), "1"))
	require.Equal(t, -1, e.Code)
	require.ErrorContains(t, e, "code -1")
	require.Equal(t, proxylite.OutcomeRejected, e.Outcome)
}

// An error for a mock is the one that a real call returns.
func TestNewErrorIsWhatACallReturns(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 302, 304, 400, 401, 403, 408, 429, 500, 502, 503, 999} {
		for _, code := range []int{0, 3, 9, 156, 202, 286, 348, 400, 429, 500} {
			body := ""
			if code != 0 {
				body = fmt.Sprintf(`{"code":%d,"msg":"no"}`, code)
			}
			_, err := apitest.Playing(apitest.Reply(status, body)).Client(t, apitest.TryOnce).Orders.Create(t.Context(), proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64)})
			actual, mock := apitest.AsError(t, err), proxylite.NewError(status, code, "no")
			require.Equal(t, []any{actual.Kind, actual.Outcome, actual.Status}, []any{mock.Kind, mock.Outcome, mock.Status}, "%d %d: %v", status, code, err)
			for _, sentinel := range sentinels {
				require.Equal(t, errors.Is(actual, sentinel), errors.Is(mock, sentinel), "%d %d %v", status, code, sentinel)
			}
		}
	}
}

func TestNewErrorLikeMatchesItsTarget(t *testing.T) {
	t.Parallel()
	for _, target := range append(slices.Clone(sentinels), proxylite.ErrRetryBudget, proxylite.ErrInvalidInput, context.Canceled, context.DeadlineExceeded, io.EOF) {
		mock := proxylite.NewErrorLike(target)
		require.ErrorIs(t, mock, target)
		require.NotEmpty(t, mock.Error())
	}
	_, isInput := errors.AsType[*proxylite.InputError](proxylite.NewErrorLike(proxylite.ErrInvalidInput))
	require.True(t, isInput)
	require.Equal(t, proxylite.KindDNS, proxylite.NewErrorLike(&net.DNSError{Err: "no such host"}).Kind)
	require.Equal(t, proxylite.KindTimeout, proxylite.NewErrorLike(context.DeadlineExceeded).Kind)
}

func TestEveryDigitOfACallersIP(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"a::f", "A::F", "0.9.0.9", "9a::f0"} {
		c, _ := apitest.Mocked(t, 200, `{"code":202,"msg":"请添加`+addr+`到白名单"}`)
		_, err := c.Accounts.List(t.Context())
		got, ok := apitest.AsError(t, err).CallerIP()
		require.True(t, ok, addr)
		require.Equal(t, netip.MustParseAddr(addr), got)
	}
}

func TestLongestMessageAndOddestUserAgent(t *testing.T) {
	t.Parallel()
	c, _ := apitest.Mocked(t, 200, `{"code":400,"msg":"`+strings.Repeat("x", 300)+`"}`, proxylite.WithUserAgent("a ~"))
	require.NotContains(t, c.Orders.Close(t.Context(), "1").Error(), "…")
	c, _ = apitest.Mocked(t, 200, `{"code":400,"msg":"`+strings.Repeat("x", 301)+`"}`)
	require.Contains(t, c.Orders.Close(t.Context(), "1").Error(), "…")
}
