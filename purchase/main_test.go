package purchase_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/purchase"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m)
}

const (
	traffic = 901  // costs 18.20
	renewal = 1901 // costs 4.50 for each static IP
	alipay  = 1    // waits for payment
	usdt    = 7    // waits for payment
	balance = 0    // pays at once
)

// plan is an order of a product.
func plan(product int64) proxylite.OrderCreateParams {
	return proxylite.OrderCreateParams{ProductID: product, PaymentMethodID: new(int64(alipay)), Quantity: 1}
}

func upTo(pay proxylite.Decimal) purchase.Limit { return purchase.Limit{MaxPay: pay} }

var waits = purchase.Policy{PaysLater: []int64{alipay, usdt}}

// shop is an API whose orders begin with none, a buyer, and its journal.
type shop struct {
	*purchase.Buyer
	api     *proxylitetest.Server
	client  *proxylite.Client
	journal *purchase.File
	path    string
}

// quick makes the wait for the list short. A call has its time, so that a slow machine does
// not end one that the API is yet to take.
func quick() []purchase.Option {
	return []purchase.Option{purchase.WithListDelay(30 * time.Millisecond), purchase.WithSendTimeout(20 * time.Second)}
}

var quickRetry = proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 3, MinBackoff: time.Microsecond, MaxBackoff: time.Microsecond})

func open(t *testing.T, policy purchase.Policy, opts ...proxylite.Option) *shop {
	t.Helper()
	s := &shop{api: newAPI(t), path: filepath.Join(t.TempDir(), "journal.jsonl")}
	s.client = s.api.Client(append(opts, quickRetry)...)
	t.Cleanup(s.client.CloseIdleConnections)
	s.start(t, policy)
	t.Cleanup(func() { _ = s.journal.Close() })
	return s
}

func newAPI(t proxylitetest.TB) *proxylitetest.Server {
	state := proxylitetest.DemoState(time.Now())
	state.Orders, state.Accounts, state.Usage = nil, nil, nil
	return proxylitetest.NewServer(t, proxylitetest.WithState(state), proxylitetest.WithoutProxies())
}

// start opens the journal and makes a buyer, as a process does.
func (s *shop) start(t *testing.T, policy purchase.Policy, opts ...purchase.Option) {
	t.Helper()
	var err error
	s.journal, err = purchase.OpenFile(s.path)
	require.NoError(t, err)
	s.Buyer, err = purchase.New(s.client, s.journal, policy, append(quick(), opts...)...)
	require.NoError(t, err)
}

// restart is what a new process does after the end of this one.
func (s *shop) restart(t *testing.T, policy purchase.Policy, opts ...purchase.Option) {
	t.Helper()
	require.NoError(t, s.journal.Close())
	s.start(t, policy, opts...)
}

// orders are the statuses of all orders of the API, in the order in which they came.
func (s *shop) orders() []proxylite.OrderStatus {
	all := []proxylite.OrderStatus{}
	for _, o := range s.api.State().Orders {
		all = append(all, o.Status)
	}
	return all
}

func (s *shop) count(operation string) int {
	n := 0
	for _, c := range s.api.Calls() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// onCreate calls f when the response to an order has come, with its body.
func onCreate(f func(body []byte) []byte) proxylite.Option { return onResponse("/order/create", f) }

// everywhere calls f with the body of each response.
func everywhere(f func(body []byte) []byte) proxylite.Option { return onResponse("", f) }

func onResponse(path string, f func(body []byte) []byte) proxylite.Option {
	return proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil || !strings.HasSuffix(r.URL.Path, path) {
				return resp, err
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			body = f(body)
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			return resp, err
		})
	})
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
