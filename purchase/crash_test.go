package purchase_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/purchase"
)

// errand is what the processes of this test buy: two of one product, one that costs more
// than its limit, and one that is paid at once.
var errand = []struct {
	key       string
	product   int64
	method    int64
	limit     purchase.Limit
	quantity  int
	mostly    int // orders of the product that there may be
	endsState purchase.State
	ends      proxylite.OrderStatus
}{
	{"a", traffic, alipay, upTo("36.40"), 2, 2, purchase.Made, proxylite.OrderAwaitingPayment},
	{"b", 902, alipay, upTo("149.99"), 1, 1, purchase.Closed, proxylite.OrderCancelled},
	{"c", 1401, balance, purchase.Limit{MaxPay: "3", AcceptImmediatePayment: true}, 1, 1, purchase.Made, proxylite.OrderPaid},
	{"d", traffic, usdt, upTo("36.40"), 2, 2, purchase.Made, proxylite.OrderAwaitingPayment},
}

// run buys all of the errand, as a program does when it starts. It stops where it does
// not know what became of a purchase.
func run(ctx context.Context, buyer *purchase.Buyer) error {
	if _, err := buyer.Reconcile(ctx); err != nil {
		return err
	}
	for _, e := range errand {
		params := plan(e.product)
		params.PaymentMethodID, params.Quantity = new(e.method), e.quantity
		if _, err := buyer.Buy(ctx, e.key, params, e.limit); err != nil && !errors.Is(err, purchase.ErrAboveLimit) {
			return err
		}
	}
	return nil
}

// patient gives a call time on a loaded machine, where [quick] does not.
func patient() []purchase.Option {
	return []purchase.Option{purchase.WithListDelay(lateness), purchase.WithSendTimeout(600 * time.Millisecond)}
}

// lateness is how long after the end of a call the API may still take its order.
const lateness = 150 * time.Millisecond

// punctual puts a gateway before the API that keeps what a buyer is told of it by
// WithListDelay, however slow the machine is: an order whose call ended too long ago is
// dropped, and one that is being taken is in any list that is asked for after that. An
// order whose client has died it holds back for as long as it may.
func punctual(t *testing.T, api *proxylitetest.Server) *httptest.Server {
	t.Helper()
	target, err := url.Parse(api.URL)
	require.NoError(t, err)
	transport := &http.Transport{DisableKeepAlives: true}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:    transport,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	var one sync.Mutex
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		end := time.Now().Add(time.Hour)
		if nanos, err := strconv.ParseInt(r.Header.Get(endHeader), 10, 64); err == nil {
			end = time.Unix(0, nanos).Add(lateness)
			body, err := io.ReadAll(r.Body) // only then is a death noticed
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			select {
			case <-r.Context().Done():
				<-time.After(time.Until(end) - lateness/5)
			case <-time.After(lateness / 5):
			}
		}
		one.Lock()
		defer one.Unlock()
		if time.Now().After(end) {
			panic(http.ErrAbortHandler)
		}
		// What has begun goes on when its client is gone.
		proxy.ServeHTTP(struct{ http.ResponseWriter }{w}, r.WithContext(context.WithoutCancel(r.Context())))
	}))
}

const endHeader = "X-Test-Call-Ends"

// timed tells the gateway when the call of an order ends, and calls sent when its request
// is complete.
func timed(sent func()) proxylite.Option {
	return proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/end-point/order/create" {
				end, _ := r.Context().Deadline()
				r = r.Clone(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
					WroteRequest: func(httptrace.WroteRequestInfo) { sent() },
				}))
				r.Header.Set(endHeader, strconv.FormatInt(end.UnixNano(), 10))
			}
			return next.RoundTrip(r)
		})
	})
}

// childEnv makes a process of this test one that buys.
const childEnv = "PURCHASE_TEST_CHILD"

// order is what a process is told in its environment.
type order struct {
	URL, Key, Path string
	Write          int // at this write of the journal the process dies
	Bytes          int // so many of the record it writes first; -1 is all of it, safely
	Sent           int // when it has sent so many orders, it dies too
}

// mortal is a journal whose process dies.
type mortal struct {
	*purchase.File
	order
	writes int
}

func (m *mortal) Append(ctx context.Context, r purchase.Record) error {
	m.writes++
	if m.writes == m.Write && m.Bytes >= 0 {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		file, err := os.OpenFile(m.Path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if _, err := file.Write(line[:m.Bytes%(len(line)+1)]); err != nil {
			return err
		}
		die()
	}
	err := m.File.Append(ctx, r)
	if m.writes == m.Write {
		die()
	}
	return err
}

func die() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}

// Exit codes of a process that was not killed.
const (
	exitDone = 10 + iota
	exitFailed
)

// child is the process. It fails as a program fails when the API does.
func child() int {
	var o order
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &o); err != nil {
		panic(err)
	}
	client, err := proxylite.NewClient(proxylite.AppKey(o.Key), proxylite.WithBaseURL(o.URL), quickRetry, timed(func() {
		if o.Sent--; o.Sent == 0 {
			time.AfterFunc(lateness/20, die) // its last bytes are still in a buffer
		}
	}))
	if err != nil {
		panic(err)
	}
	journal, err := purchase.OpenFile(o.Path)
	if err != nil {
		panic(err)
	}
	buyer, err := purchase.New(client, &mortal{File: journal, order: o}, waits, patient()...)
	if err != nil {
		panic(err)
	}
	if err := run(context.Background(), buyer); err != nil {
		fmt.Println(err)
		return exitFailed
	}
	return exitDone
}

// begin runs a process, and reports whether it was killed.
func begin(t *testing.T, o order) (killed bool) {
	t.Helper()
	text, err := json.Marshal(o)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, string(out))
	require.NoError(t, ctx.Err())
	require.Contains(t, []int{exitDone, exitFailed, -1}, exit.ExitCode(), string(out))
	return exit.ExitCode() == -1 // a signal
}

// failures are the faults of a seed. None of them lies about what was refused: an API
// that takes an order and says no can't be guarded against.
func failures(api *proxylitetest.Server, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	for operation, faults := range map[string][]proxylitetest.Fault{
		"Orders.Create": {
			{},
			{},
			{After: true, Cut: true},
			{Cut: true},
			{Status: 502},
			{After: true, Status: 502},
			{After: true, Body: "<html>"},
			{Status: 403},
			{Code: 400},
			{Code: 429},
			{Status: 429},
			{After: true, Status: 429},
			{After: true, Code: 500},
			{After: true, Cut: true, Status: 200},
			{After: true, Status: 200},
			{After: true, Body: `{"code":0}`},
			{After: true, Body: `{"code":0,"data":{"id":7}}`},
			{Body: `{"msg":"?"}`},
		},
		"Orders.Close": {{}, {}, {Cut: true}, {After: true, Cut: true}, {Status: 502}, {Status: 200}, {Code: 400}, {After: true, Code: 500}},
		"Orders.List":  {{}, {}, {}, {}, {}, {}, {Cut: true}, {Status: 502}, {Status: 500}, {Code: 400}, {Body: "<html>"}, {Status: 429}},
	} {
		for range 6 {
			api.FailNext(operation, faults[random.IntN(len(faults))])
		}
	}
}

// check holds at any time: no key has two orders, and nothing that costs too much is open
// unless the journal knows.
func (s *shop) check(t *testing.T) {
	t.Helper()
	count := map[int64]int{}
	for _, o := range s.api.State().Orders {
		count[o.ProductID]++
	}
	for _, e := range errand {
		require.LessOrEqual(t, count[e.product], e.mostly, "orders of product %d", e.product)
	}
	known, err := s.Purchases(t.Context())
	require.NoError(t, err)
	for _, o := range s.api.State().Orders {
		if o.ProductID == 902 && o.Status == proxylite.OrderAwaitingPayment {
			require.Contains(t, []purchase.State{purchase.ClosePending, purchase.Unknown}, last(known, "b").State)
		}
	}
}

func last(all []purchase.Purchase, key string) (found purchase.Purchase) {
	for _, p := range all {
		if p.Key == key {
			found = p
		}
	}
	return found
}

// recover starts again and again until all is bought, and compares the books with the
// API.
func (s *shop) recover(t *testing.T) {
	t.Helper()
	for round := 0; ; round++ {
		require.Less(t, round, 300, "rounds until all was bought") // on a starved machine most calls time out
		s.start(t, waits, patient()...)
		s.check(t)
		_, err := s.Reconcile(t.Context())
		if s.check(t); err == nil {
			s.checkPending(t)
			err = run(t.Context(), s.Buyer)
		}
		s.check(t)
		known, knownErr := s.Purchases(t.Context())
		require.NoError(t, knownErr)
		require.NoError(t, s.journal.Close())
		if err == nil && last(known, "b").State == purchase.Closed {
			s.checkEnd(t, known)
			return
		}
	}
}

// checkPending holds after a start that met no failure.
func (s *shop) checkPending(t *testing.T) {
	t.Helper()
	known, err := s.Purchases(t.Context())
	require.NoError(t, err)
	for _, o := range s.api.State().Orders {
		if o.ProductID == 902 && o.Status == proxylite.OrderAwaitingPayment {
			require.Equal(t, purchase.ClosePending, last(known, "b").State)
		}
	}
}

func (s *shop) checkEnd(t *testing.T, known []purchase.Purchase) {
	t.Helper()
	statuses := map[string]proxylite.OrderStatus{}
	for _, o := range s.api.State().Orders {
		statuses[o.TradeNo] = o.Status
	}
	require.Len(t, statuses, len(errand))
	for _, e := range errand {
		p := last(known, e.key)
		require.Equal(t, e.endsState, p.State, p)
		require.Equal(t, e.product, p.Order.ProductID)
		require.Contains(t, statuses, p.Order.TradeNo)
		require.Equal(t, e.ends, statuses[p.Order.TradeNo], p)
		delete(statuses, p.Order.TradeNo)
	}
}

// crash kills one process, and goes on without it. It reports whether the process lived
// long enough to be killed.
func crash(t *testing.T, seed uint64, o order) bool {
	t.Helper()
	skew := time.Duration(int(seed%9)-4) * time.Minute
	state := proxylitetest.DemoState(time.Now())
	state.Orders = nil
	api := proxylitetest.NewServer(nil, proxylitetest.WithState(state), proxylitetest.WithNow(func() time.Time { return time.Now().Add(skew) }))
	defer api.Close()
	if seed > 0 {
		failures(api, seed)
	}
	gateway := punctual(t, api)
	defer gateway.Close()
	s := &shop{api: api, path: filepath.Join(t.TempDir(), "journal.jsonl")}
	s.client = api.Client(quickRetry, proxylite.WithBaseURL(gateway.URL), timed(func() {}))
	defer s.client.CloseIdleConnections()
	defer func() {
		if t.Failed() {
			t.Logf("%+v, journal:\n%s", o, readFile(t, s.path))
			for _, c := range api.Calls() {
				t.Log(c.Time.Add(-skew), c.Operation, c.Status, c.Code, c.Body)
			}
		}
	}()
	o.URL, o.Key, o.Path = gateway.URL, api.Key, s.path
	killed := begin(t, o)
	s.recover(t)
	return killed
}

// A process dies at each write of its journal: before it, within it and after it, and
// when it has sent an order, with the faults of a seed on the way. With as many seeds as a record has bytes, it dies at
// each byte of each record. However it went, the next ones end with one order for
// each key, nothing open that costs too much, and books that agree with the API.
func TestAProcessMayDieAtAnyWrite(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" {
		t.Skip("needs signals, and a lock that ends with its process")
	}
	t.Parallel()
	seeds := uint64(4)
	if os.Getenv("PROXYLITE_LONG") != "" {
		seeds = 1000
	}
	if text := os.Getenv("PROXYLITE_SEEDS"); text != "" {
		var err error
		seeds, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			for write := 1; ; write++ {
				// How often a process looks for an order depends on time, and so does the
				// number of its writes.
				killed := crash(t, seed, order{Write: write})
				killed = crash(t, seed, order{Write: write, Bytes: -1}) || killed
				killed = crash(t, seed, order{Write: write, Bytes: int(seed) + 1}) || killed
				killed = crash(t, seed, order{Sent: write}) || killed
				if !killed {
					return
				}
			}
		})
	}
}
