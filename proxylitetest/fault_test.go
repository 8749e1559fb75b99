package proxylitetest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// tryOnce is for tests that are not about repetition.
var tryOnce = proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 1})

func order(ctx context.Context, c *proxylite.Client) error {
	return failed(c.Orders.Create(ctx, proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: new(int64(1))}))
}

func TestAFaultIsWhatTheClientSees(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault proxylitetest.Fault
		want  proxylite.Error // kind, outcome, status, code, message, body
	}{
		{"code", proxylitetest.Fault{Code: 348}, proxylite.Error{
			Kind: proxylite.KindAPI, Outcome: proxylite.OutcomeRejected, Status: 200, Code: 348, Message: "请进行二次验证",
			Body: []byte(`{"code":348,"message":"请进行二次验证","data":null}`),
		}},
		{"code, message and status", proxylitetest.Fault{Code: 9, Message: "no", Status: 401}, proxylite.Error{
			Kind: proxylite.KindAPI, Outcome: proxylite.OutcomeRejected, Status: 401, Code: 9, Message: "no",
			Body: []byte(`{"code":9,"message":"no","data":null}`),
		}},
		{"unknown code", proxylitetest.Fault{Code: 777}, proxylite.Error{
			Kind: proxylite.KindAPI, Outcome: proxylite.OutcomeRejected, Status: 200, Code: 777, Message: "操作失败",
			Body: []byte(`{"code":777,"message":"操作失败","data":null}`),
		}},
		{"status", proxylitetest.Fault{Status: 502}, proxylite.Error{
			Kind: proxylite.KindServer, Outcome: proxylite.OutcomeUnknown, Status: 502,
			Body: []byte("<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"),
		}},
		{"lowest status with a page", proxylitetest.Fault{Status: 400}, proxylite.Error{
			Kind: proxylite.KindEdge, Outcome: proxylite.OutcomeRejected, Status: 400,
			Body: []byte("<html>\r\n<head><title>400 Bad Request</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n</body>\r\n</html>\r\n"),
		}},
		{"empty", proxylitetest.Fault{Status: 200}, proxylite.Error{
			Kind: proxylite.KindMalformed, Outcome: proxylite.OutcomeUnknown, Status: 200,
		}},
		{"body", proxylitetest.Fault{Body: "Fatal error"}, proxylite.Error{
			Kind: proxylite.KindMalformed, Outcome: proxylite.OutcomeUnknown, Status: 200, Body: []byte("Fatal error"),
		}},
		{"cut", proxylitetest.Fault{Cut: true}, proxylite.Error{
			Kind: proxylite.KindTransport, Outcome: proxylite.OutcomeUnknown,
		}},
		{"cut in the midst", proxylitetest.Fault{Cut: true, Body: `{"message":"fine"}`}, proxylite.Error{
			Kind: proxylite.KindTruncated, Outcome: proxylite.OutcomeUnknown, Status: 200, Body: []byte(`{"message`),
		}},
		{"cut before the body", proxylitetest.Fault{Cut: true, Status: 200}, proxylite.Error{
			Kind: proxylite.KindTruncated, Outcome: proxylite.OutcomeUnknown, Status: 200,
		}},
	} {
		for _, after := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				s := demo(t)
				orders := len(s.State().Orders)
				fault := tt.fault
				fault.After = after
				s.FailNext("Orders.Create", fault)
				err := order(t.Context(), s.Client(tryOnce))
				var e *proxylite.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, tt.want, proxylite.Error{
					Kind: e.Kind, Outcome: e.Outcome, Status: e.Status, Code: e.Code, Message: e.Message, Body: e.Body,
				}, "%v", err)
				if after {
					orders++
				}
				require.Len(t, s.State().Orders, orders)
				call := s.Calls()[0]
				require.Equal(t, []int{e.Status, e.Code}, []int{call.Status, call.Code})
			})
		}
	}
}

func TestFaultsComeInTurnAndOnlyOnce(t *testing.T) {
	t.Parallel()
	s := demo(t)
	c := s.Client(tryOnce)
	s.FailNext("Orders.Create", proxylitetest.Fault{Code: 3}, proxylitetest.Fault{Code: 156})
	s.FailNext("Orders.Create", proxylitetest.Fault{Code: 348})
	require.NoError(t, failed(c.User.Info(t.Context()))) // not that operation
	require.ErrorIs(t, order(t.Context(), c), proxylite.ErrInvalidAppKey)
	require.ErrorIs(t, order(t.Context(), c), proxylite.ErrNotVerified)
	require.ErrorIs(t, order(t.Context(), c), proxylite.ErrVerificationNeeded)
	require.NoError(t, order(t.Context(), c))
}

func TestARepeatedCallMeetsOneFaultForEachAttempt(t *testing.T) {
	t.Parallel()
	s := demo(t)
	c := s.Client(proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 3, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond}))
	s.FailNext("User.Info", proxylitetest.Fault{Status: 503}, proxylitetest.Fault{Cut: true})
	require.NoError(t, failed(c.User.Info(t.Context())))
	require.Len(t, s.Calls(), 3)
}

func TestAFaultOfHeadersAloneKeepsTheAnswer(t *testing.T) {
	t.Parallel()
	s := demo(t)
	s.FailNext("User.Info", proxylitetest.Fault{Header: http.Header{"X-Trace": {"7"}, "Content-Type": {"text/html"}}})
	var raw proxylite.RawResponse
	user, err := s.Client().User.Info(t.Context(), proxylite.CallRaw(&raw))
	require.NoError(t, err)
	require.Equal(t, "7", raw.Header.Get("X-Trace"))
	require.Equal(t, "text/html", raw.Header.Get("Content-Type"))
	require.Equal(t, s.State().User.Email, user.Email)
}

func TestAHeaderIsAddedToARefusal(t *testing.T) {
	t.Parallel()
	s := demo(t)
	s.FailNext("User.Info", proxylitetest.Fault{Status: 429, Header: http.Header{"Retry-After": {"3600"}}})
	err := failed(s.Client().User.Info(t.Context()))
	require.ErrorIs(t, err, proxylite.ErrRateLimited)
	var e *proxylite.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, time.Hour, e.RetryAfter)
}

// A delayed call that the client leaves has not happened, unless After says so.
func TestADelayHoldsUpTheAnswer(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		s := demo(t)
		orders := len(s.State().Orders)
		s.FailNext("Orders.Create", proxylitetest.Fault{Delay: time.Hour, After: after}, proxylitetest.Fault{Delay: time.Millisecond})
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- order(ctx, s.Client()) }()
		if after {
			orders++
		}
		require.Eventually(t, func() bool { return len(s.Calls()) == 1 && len(s.State().Orders) == orders }, time.Minute, time.Millisecond)
		cancel()
		require.ErrorIs(t, <-result, context.Canceled)
		require.Zero(t, s.Calls()[0].Status)
		require.NoError(t, order(t.Context(), s.Client()))
		require.Len(t, s.State().Orders, orders+1)
	}
}
