package proxylite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// Invariant 3. Every failure says what became of the call.
func TestEveryFailureSaysItsOutcome(t *testing.T) {
	t.Parallel()
	refused := httptest.NewServer(nil)
	refused.Close()
	tlsServer := httptest.NewTLSServer(nil)
	tlsServer.Config.ErrorLog = apitest.Quiet
	t.Cleanup(tlsServer.Close)
	lost := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(lost.Close)
	resolver := proxylite.NewTransport()
	resolver.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}
	}
	for _, tt := range []struct {
		name    string
		opts    []proxylite.Option
		kind    proxylite.Kind
		outcome proxylite.Outcome
	}{
		{"refused", []proxylite.Option{proxylite.WithBaseURL(refused.URL)}, proxylite.KindDial, proxylite.OutcomeNotSent},
		{"no name", []proxylite.Option{proxylite.WithTransport(resolver)}, proxylite.KindDNS, proxylite.OutcomeNotSent},
		{"certificate", []proxylite.Option{proxylite.WithBaseURL(tlsServer.URL)}, proxylite.KindTLS, proxylite.OutcomeNotSent},
		{"no TLS", []proxylite.Option{proxylite.WithBaseURL("https" + lost.URL[4:])}, proxylite.KindTLS, proxylite.OutcomeNotSent},
		{"lost", []proxylite.Option{proxylite.WithBaseURL(lost.URL)}, proxylite.KindTransport, proxylite.OutcomeUnknown},
		{"limiter", []proxylite.Option{proxylite.WithLimiter(apitest.LimiterFunc(func(context.Context) error { return errors.New("full") }))}, proxylite.KindConfig, proxylite.OutcomeNotSent},
		{"refusal", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Reply(200, `{"code":1}`)))}, proxylite.KindAPI, proxylite.OutcomeRejected},
		{"not found", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Reply(404, "")))}, proxylite.KindEdge, proxylite.OutcomeRejected},
		{"timeout 408", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Reply(408, "")))}, proxylite.KindEdge, proxylite.OutcomeUnknown},
		{"odd", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Reply(200, `[]`)))}, proxylite.KindMalformed, proxylite.OutcomeUnknown},
		{"nothing", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Breaks(nil)))}, proxylite.KindTransport, proxylite.OutcomeUnknown},
		{"hangs", []proxylite.Option{proxylite.WithTransport(apitest.Playing(apitest.Hangs)), proxylite.WithAttemptTimeout(1)}, proxylite.KindTimeout, proxylite.OutcomeUnknown},
	} {
		for _, op := range apitest.Operations {
			c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), append(tt.opts, apitest.TryOnce)...)
			require.NoError(t, err)
			_, err = op.Call(t.Context(), c)
			e := apitest.AsError(t, err)
			require.Equal(t, tt.kind, e.Kind, "%s %s: %v", op.Name, tt.name, err)
			want := tt.outcome
			if want == proxylite.OutcomeUnknown {
				want = op.Unclear()
			}
			require.Equal(t, want, e.Outcome, "%s %s: %v", op.Name, tt.name, err)
			require.Equal(t, want == proxylite.OutcomeUnknown, errors.Is(err, proxylite.ErrOutcomeUnknown))
		}
	}
}

// When an attempt may have had its effect, a later refusal does not undo it. For
// a read there is nothing to undo.
func TestAnUnknownAttemptKeepsTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, op := range apitest.Operations {
			_, err := op.Call(t.Context(), apitest.Playing(apitest.Reply(502, ""), apitest.Reply(200, `{"code":1,"msg":"gone"}`)).Client(t))
			e := apitest.AsError(t, err)
			require.Equal(t, op.Class != proxylite.ClassSafe, errors.Is(err, proxylite.ErrOutcomeUnknown), op.Name)
			if op.Class != proxylite.ClassUnsafe {
				require.Equal(t, []any{1, 2}, []any{e.Code, e.Attempts}, op.Name)
			}
		}
	})
}

// A fault is an answer that is no success, and what the error must say about it.
type fault struct {
	name    string
	status  int
	body    string
	cut     bool // the body breaks after these bytes
	repeats bool // reads and idempotent operations go on
	kind    proxylite.Kind
	outcome proxylite.Outcome
	code    int
	message string
	is      []error
	not     []error
}

var (
	unknown   = []error{proxylite.ErrOutcomeUnknown}
	malformed = []error{proxylite.ErrOutcomeUnknown, proxylite.ErrMalformedResponse}
)

var faults = []fault{
	{
		name: "code 3", status: 200, body: `{"code":3,"msg":"app_key 无效","data":[]}`,
		kind: proxylite.KindAPI, outcome: proxylite.OutcomeRejected, code: 3, message: "app_key 无效",
		is: []error{proxylite.ErrInvalidAppKey}, not: malformed,
	},
	{
		name: "code 156", status: 200, body: `{"code":"156","message":"账户未实名认证","data":""}`,
		kind: proxylite.KindAPI, outcome: proxylite.OutcomeRejected, code: 156, message: "账户未实名认证",
		is: []error{proxylite.ErrNotVerified}, not: malformed,
	},
	{
		name: "code 202", status: 200, body: `{"code":202,"msg":"请先添加白名单 IP:203.0.113.7。"}`,
		kind: proxylite.KindAPI, outcome: proxylite.OutcomeRejected, code: 202, message: "请先添加白名单 IP:203.0.113.7。",
		is: []error{proxylite.ErrIPNotAllowed}, not: malformed,
	},
	{
		name: "429", status: 429, body: apitest.WebPage, repeats: true,
		kind: proxylite.KindRateLimited, outcome: proxylite.OutcomeUnknown,
		is: []error{proxylite.ErrRateLimited, proxylite.ErrOutcomeUnknown}, not: []error{proxylite.ErrMalformedResponse},
	},
	{
		name: "code 429", status: 200, body: `{"code":429,"msg":"too many"}`, repeats: true,
		kind: proxylite.KindRateLimited, outcome: proxylite.OutcomeRejected, code: 429, message: "too many",
		is: []error{proxylite.ErrRateLimited}, not: malformed,
	},
	{
		name: "502 HTML", status: 502, body: apitest.WebPage, repeats: true,
		kind: proxylite.KindServer, outcome: proxylite.OutcomeUnknown,
		is: unknown, not: []error{proxylite.ErrMalformedResponse},
	},
	{
		name: "500 with a code", status: 500, body: `{"code":9,"msg":"oops"}`,
		kind: proxylite.KindAPI, outcome: proxylite.OutcomeUnknown, code: 9, message: "oops",
		is: unknown, not: []error{proxylite.ErrMalformedResponse},
	},
	{
		name: "403 HTML", status: 403, body: apitest.WebPage,
		kind: proxylite.KindEdge, outcome: proxylite.OutcomeRejected,
		not: malformed,
	},
	{
		name: "HTML with 200", status: 200, body: "\n" + apitest.WebPage,
		kind: proxylite.KindEdge, outcome: proxylite.OutcomeUnknown,
		is: malformed,
	},
	{
		name: "truncated JSON", status: 200, body: `{"code":200,"msg":"ok","data":{"list":[`,
		kind: proxylite.KindMalformed, outcome: proxylite.OutcomeUnknown, message: "ok",
		is: malformed,
	},
	{
		name: "cut body", status: 200, body: `{"code":200,"msg":"ok","data":{"list":[`, cut: true, repeats: true,
		kind: proxylite.KindTruncated, outcome: proxylite.OutcomeUnknown, message: "ok",
		is: append(malformed, io.ErrUnexpectedEOF),
	},
	{
		name: "empty body", status: 200, body: " \n",
		kind: proxylite.KindMalformed, outcome: proxylite.OutcomeUnknown,
		is: malformed,
	},
	{
		name: "no code", status: 200, body: `{"data":{"list":[]},"msg":"hm"}`,
		kind: proxylite.KindMalformed, outcome: proxylite.OutcomeUnknown, message: "hm",
		is: malformed,
	},
	{
		name: "redirect", status: 302, body: "",
		kind: proxylite.KindRedirect, outcome: proxylite.OutcomeUnknown,
		is: unknown,
	},
}

func TestEveryOperationFailsWell(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		for _, f := range faults {
			if f.name == "empty body" && op.MayBeEmpty {
				continue
			}
			t.Run(op.Name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { failsWell(t, op, f) }) // its clock makes back-off free
			})
		}
	}
}

func failsWell(t *testing.T, op apitest.Operation, f fault) {
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(*http.Request) (*http.Response, error) {
		resp := httpmock.NewStringResponse(f.status, "")
		resp.Header.Set("X-Trace", f.name)
		body := io.Reader(strings.NewReader(f.body))
		if f.cut {
			body = io.MultiReader(body, iotest.ErrReader(io.ErrUnexpectedEOF))
		}
		resp.Body = io.NopCloser(body)
		return resp, nil
	})
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(mock))
	require.NoError(t, err)
	value, err := op.Call(t.Context(), c)

	if value != nil {
		require.Zero(t, value, "a failed call must give nothing")
	}
	attempts := 1
	if f.repeats && op.Class != proxylite.ClassUnsafe {
		attempts = 3
	}
	e := apitest.AsError(t, err)
	require.Equal(t, attempts, mock.GetTotalCallCount())
	outcome := f.outcome
	if outcome == proxylite.OutcomeUnknown {
		outcome = op.Unclear()
	}
	want := proxylite.Error{
		Operation: op.Name, Method: op.Method, Route: "/end-point" + op.Path, Kind: f.kind, Outcome: outcome,
		Status: f.status, Code: f.code, Message: f.message, Attempts: attempts,
	}
	got := proxylite.Error{
		Operation: e.Operation, Method: e.Method, Route: e.Route, Kind: e.Kind, Outcome: e.Outcome,
		Status: e.Status, Code: e.Code, Message: e.Message, Attempts: e.Attempts,
	}
	require.Equal(t, want, got)
	require.Equal(t, f.body, string(e.Body))
	require.Equal(t, f.name, e.Header.Get("X-Trace"))
	for _, target := range f.is {
		require.Equal(t, target != proxylite.ErrOutcomeUnknown || op.Class != proxylite.ClassSafe, errors.Is(err, target), target)
	}
	for _, target := range f.not {
		require.NotErrorIs(t, err, target)
	}
	require.Contains(t, err.Error(), "proxylite: "+op.Name+": ")
	if outcome == proxylite.OutcomeSafe {
		require.Contains(t, err.Error(), "safe to retry)")
	} else {
		require.Contains(t, err.Error(), "outcome "+strings.ReplaceAll(outcome.String(), "_", " ")+")")
	}
}

func TestEveryOperationObeysACanceledContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("shop closed"))
	for _, op := range apitest.Operations {
		c, mock := apitest.Mocked(t, 200, apitest.Fixture(t, op.Name+".json"))
		value, err := op.Call(ctx, c)
		e := apitest.AsError(t, err)
		if value != nil {
			require.True(t, reflect.ValueOf(value).IsZero(), op.Name)
		}
		require.ErrorIs(t, err, context.Canceled, op.Name)
		require.NotErrorIs(t, err, proxylite.ErrOutcomeUnknown, op.Name)
		require.ErrorContains(t, err, "shop closed", op.Name)
		require.Equal(t, proxylite.KindCanceled, e.Kind, op.Name)
		require.Equal(t, proxylite.OutcomeNotSent, e.Outcome, op.Name)
		require.Equal(t, 0, e.Code, op.Name)
		require.Zero(t, e.Attempts+e.Status+mock.GetTotalCallCount(), op.Name)
	}
}

func TestCodeBoundariesOfAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	for code, outcome := range map[int]proxylite.Outcome{
		499: proxylite.OutcomeRejected, 500: proxylite.OutcomeUnknown, 599: proxylite.OutcomeUnknown, 600: proxylite.OutcomeRejected,
	} {
		c, _ := apitest.Mocked(t, 200, fmt.Sprintf(`{"code":%d}`, code), apitest.TryOnce)
		require.Equal(t, outcome, apitest.AsError(t, c.Orders.Close(t.Context(), "1")).Outcome, code)
	}
}
