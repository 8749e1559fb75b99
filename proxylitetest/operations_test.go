package proxylitetest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// now is when the tests of this package take place, in the zone of the API.
var now = time.Date(2026, 3, 2, 10, 30, 0, 0, time.FixedZone("UTC+8", 8*60*60))

// demo starts a server with demo data at that time, without proxies.
func demo(t *testing.T, opts ...proxylitetest.Option) *proxylitetest.Server {
	t.Helper()
	at := proxylitetest.WithNow(func() time.Time { return now })
	return proxylitetest.NewServer(t, append([]proxylitetest.Option{at, proxylitetest.WithoutProxies()}, opts...)...)
}

// Order numbers of the demo data.
const (
	awaiting  = "2026022722300000000000050036"
	paid      = "2026022222300000000000050034"
	cancelled = "2026021722300000000000050032"
)

// operation is a request without the SDK.
type operation struct {
	method, path string // below the prefix
	query        string // without app_key
}

func failed[T any](_ T, err error) error { return err }

// ask sends it with a key in the query, and returns status, type and body.
func (op operation) ask(t *testing.T, s *proxylitetest.Server, key string) (int, string, string) {
	t.Helper()
	query, err := url.ParseQuery(op.query)
	require.NoError(t, err)
	query.Set("app_key", key)
	return send(t, op.method, s.URL+"/end-point"+op.path+"?"+query.Encode(), "")
}

// send sends a request with net/http; headers are name, value.
func send(t *testing.T, method, url, message string, headers ...string) (status int, kind, answer string) {
	t.Helper()
	resp := do(t, method, url, message, headers...)
	return resp.StatusCode, resp.Header.Get("Content-Type"), body(t, resp)
}

func do(t *testing.T, method, url, message string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(message))
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	return resp
}

func TestATokenIsRefusedWhereNoneIsSet(t *testing.T) {
	t.Parallel()
	s := demo(t)
	for _, header := range []string{"Bearer header.payload.signature", "Bearer ", "Bearer " + s.Key} {
		_, _, body := send(t, "GET", s.URL+"/end-point/user/info", "", "Authorization", header)
		require.JSONEq(t, `{"code":3,"message":"app_key 无效","data":null}`, body)
	}
}

func TestAnUnknownPathOrMethodIsRefusedInJSON(t *testing.T) {
	t.Parallel()
	s := demo(t)
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/payment/list", `{"code":404,"message":"接口不存在","data":null}`, 404},
		{"POST", "/order/list", `{"code":405,"message":"请求方法不允许","data":null}`, 405},
		{"GET", "/whitelist-account/add", `{"code":405,"message":"请求方法不允许","data":null}`, 405},
	} {
		status, kind, body := operation{method: tt.method, path: tt.path}.ask(t, s, s.Key)
		require.Equal(t, tt.status, status)
		require.Equal(t, "application/json", kind)
		require.Equal(t, tt.body, body)
	}
	for path, allow := range map[string]string{"/payment/list": "", "/order/list": "GET"} {
		resp := do(t, "POST", s.URL+"/end-point"+path, "")
		body(t, resp)
		require.Equal(t, allow, resp.Header.Get("Allow"))
	}
	require.Empty(t, s.Calls()[1].Operation)
	require.Equal(t, 405, s.Calls()[1].Code)
}

func TestAPOSTMayHaveTheKeyInEitherPlace(t *testing.T) {
	t.Parallel()
	s := demo(t)
	send(t, "POST", s.URL+"/end-point/whitelist-account/disable?app_key="+s.Key, `{"accounts":"bob"}`)
	send(t, "POST", s.URL+"/end-point/order/close", `{"app_key":"`+s.Key+`","trade_no":"`+awaiting+`"}`)
	require.Equal(t, proxylite.AccountDisabled, s.State().Accounts[1].Status)
	require.JSONEq(t, `{"trade_no":"`+awaiting+`"}`, s.Calls()[1].Body)
	require.Equal(t, []string{"query", "body"}, []string{s.Calls()[0].Auth, s.Calls()[1].Auth})
}
