package proxylite_test

import (
	"context"
	"errors"
	"io"
	"net/http"
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

// The document has no answer body for Orders.Close: nothing at all is success,
// with a success status only.
func TestCloseOrderTakesAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 204: true, 404: false, 500: false} {
		c, _ := apitest.Mocked(t, status, "", apitest.TryOnce)
		require.Equal(t, ok, c.Orders.Close(t.Context(), "1") == nil, status)
	}
}

// An error still comes as the JSON envelope where text was asked for, and a page
// or a line that is no endpoint is no extraction.
func TestTextExtractionFailsWell(t *testing.T) {
	t.Parallel()
	for body, kind := range map[string]proxylite.Kind{
		" {\"code\":202,\"msg\":\"\"}": proxylite.KindAPI,
		"\ufeff{\"code\":3}":           proxylite.KindAPI,
		`{"msg":"x"}`:                  proxylite.KindMalformed,
		apitest.WebPage:                proxylite.KindEdge,
		"please add IP first":          proxylite.KindMalformed,
	} {
		c, _ := apitest.Mocked(t, 200, body)
		got, err := c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1, Format: proxylite.FormatText})
		require.Equal(t, kind, apitest.AsError(t, err).Kind, body)
		require.Zero(t, got, body)
	}
}
