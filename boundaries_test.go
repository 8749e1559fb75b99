package proxylite_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// The last value on each side of a rule: what a test in the midst of it can't see.

func TestStatusBoundaries(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]proxylite.Kind{
		200: "", 299: "", 300: proxylite.KindRedirect, 399: proxylite.KindRedirect, 400: proxylite.KindEdge, 499: proxylite.KindEdge,
		500: proxylite.KindServer, 599: proxylite.KindServer, 600: proxylite.KindMalformed, 199: proxylite.KindMalformed,
	} {
		c, _ := apitest.Mocked(t, status, `{"code":0}`, apitest.TryOnce)
		err := c.Accounts.Enable(t.Context(), []string{"bob"})
		if kind == "" {
			require.NoError(t, err, status)
			continue
		}
		require.Equal(t, kind, apitest.AsError(t, err).Kind, status)
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

func TestShortestCredential(t *testing.T) {
	t.Parallel()
	_, err := proxylite.NewClient(proxylite.AppKey("123456"))
	require.NoError(t, err)
	_, err = proxylite.NewClient(proxylite.AppKey("12345"))
	require.ErrorContains(t, err, "too short")
}

func TestEveryLetterOfAHost(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"azAZ09-_.example", "a", "z", "A", "Z", "a0", "a9"} {
		e, err := proxylite.ParseEndpoint(host + ":80")
		require.NoError(t, err)
		require.Equal(t, proxylite.Endpoint{Host: host, Port: 80}, e)
	}
	for _, host := range []string{"a`", "a{", "a@[", "a/", "a[", "a;"} { // beside those in ASCII
		_, err := proxylite.ParseEndpoint(host + ":80")
		require.Error(t, err, host)
	}
	e, err := proxylite.ParseEndpoint("@1.2.3.4:80") // an empty login
	require.NoError(t, err)
	require.Equal(t, proxylite.Endpoint{Host: "1.2.3.4", Port: 80}, e)
	require.Error(t, new(proxylite.Endpoint).UnmarshalJSON(nil))
}

func TestCallRefusesAPathThatIsNone(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"order/list", "/order/list?x=1", "/order/list#x", ""} {
		c, mock := apitest.Mocked(t, 200, `{"code":0}`)
		_, err := proxylite.Call[any](t.Context(), c, proxylite.Operation{Name: "X", Method: "GET", Path: path}, nil, nil)
		require.ErrorIs(t, err, proxylite.ErrInvalidInput, path)
		require.Zero(t, mock.GetTotalCallCount())
	}
}

func TestEveryLetterOfANameAndARemark(t *testing.T) {
	t.Parallel()
	c, _ := apitest.Mocked(t, 200, `{"code":0}`)
	require.NoError(t, c.Accounts.Enable(t.Context(), []string{"azAZ09", "pl-azAZ09"}))
	for _, name := range []string{"a`", "a{", "a@", "a[", "a/"} {
		require.ErrorIs(t, c.Accounts.Enable(t.Context(), []string{name}), proxylite.ErrInvalidInput, name)
	}
	require.NoError(t, c.Accounts.ChangeRemark(t.Context(), "bob", strings.Repeat("\u0080", 32)))
	require.ErrorIs(t, c.Accounts.ChangeRemark(t.Context(), "bob", strings.Repeat("\u0080", 33)), proxylite.ErrInvalidInput)
	require.NoError(t, c.Accounts.ChangeRemark(t.Context(), "bob", strings.Repeat("\u007f", 64)))
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
