package proxylitetest_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func TestTheDemoDataIsTheSameForTheSameTime(t *testing.T) {
	t.Parallel()
	require.Equal(t, proxylitetest.DemoState(now), demo(t).State())
	require.NotEqual(t, proxylitetest.DemoState(now), proxylitetest.DemoState(now.Add(time.Hour)))
}

// The examples and the tests of users build on these.
func TestTheDemoDataHasSomethingOfEverything(t *testing.T) {
	t.Parallel()
	st := demo(t).State()
	require.Greater(t, len(st.Orders), 20)
	require.Greater(t, len(st.Products), 20)
	require.Greater(t, len(st.StaticIPs), 20)
	statuses := map[any]int{}
	for _, o := range st.Orders {
		statuses[o.Status]++
	}
	for _, ip := range st.StaticIPs {
		statuses[ip.Status]++
		statuses[ip.ProductType]++
		require.NotEmpty(t, ip.TradeNo)
		if ip.Status == proxylite.StaticIPExpiringSoon {
			require.WithinRange(t, ip.ExpiredAt, now, now.AddDate(0, 0, 5))
		}
	}
	for _, a := range st.Accounts {
		statuses[a.Status]++
	}
	for _, want := range []any{
		proxylite.OrderAwaitingPayment, proxylite.OrderPaid, proxylite.OrderCancelled, proxylite.OrderRefunded,
		proxylite.StaticIPValid, proxylite.StaticIPInvalid, proxylite.StaticIPExpiringSoon, proxylite.StaticIPMaintenance,
		proxylite.ProductStaticDatacenter, proxylite.ProductStaticResidential, proxylite.AccountEnabled, proxylite.AccountDisabled,
	} {
		require.NotZero(t, statuses[want], "%T %v", want, want)
	}
}

func TestAStateSharesNothingWithTheServer(t *testing.T) {
	t.Parallel()
	fresh := func() proxylitetest.State {
		st := proxylitetest.DemoState(now)
		st.StaticIPs[0].Raw = proxylite.NewRawEntry([]byte(`{"id":1}`))
		return st
	}
	seed := fresh()
	s := demo(t, proxylitetest.WithState(seed))
	var kept proxylitetest.State
	s.Update(func(st *proxylitetest.State) { kept = *st })
	for _, st := range []proxylitetest.State{seed, kept, s.State()} {
		wreck(reflect.ValueOf(&st).Elem())
		require.NotEqual(t, fresh(), st)
		require.Equal(t, fresh(), s.State())
	}
}

// wreck zeroes all that can be reached through slices and pointers.
func wreck(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type() != reflect.TypeFor[time.Time]() {
				wreck(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			wreck(v.Index(i))
			v.Index(i).SetZero()
		}
	case reflect.Pointer:
		if !v.IsNil() {
			v.Elem().SetZero()
		}
	}
}

func TestCallsAreACopyInTheOrderTheyCame(t *testing.T) {
	t.Parallel()
	s := demo(t)
	c := s.Client()
	require.Empty(t, s.Calls())
	require.NoError(t, failed(c.IP.SearchStates(t.Context(), "US")))
	require.NoError(t, failed(c.User.Info(t.Context())))
	s.Calls()[0].Query.Set("country_code", "DE")
	require.Equal(t, "US", s.Calls()[0].Query.Get("country_code"))
	require.Equal(t, "User.Info", s.Calls()[1].Operation)
}

func TestConcurrentCallsLoseNothing(t *testing.T) {
	t.Parallel()
	s := demo(t, proxylitetest.WithState(proxylitetest.State{}))
	c := s.Client()
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			for j := range 8 {
				name := fmt.Sprintf("user%dx%d", i, j)
				assert.NoError(t, c.Accounts.Add(t.Context(), proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{Username: name, Password: proxylite.NewPassword("pass")}}}))
				s.Update(func(st *proxylitetest.State) { st.Use(name, now, 1); st.IPStock++ })
				assert.NoError(t, failed(c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 1})))
				s.State()
				s.Calls()
			}
		})
	}
	running.Wait()
	st := s.State()
	ids := map[int64]bool{}
	for _, a := range st.Accounts {
		ids[a.ID] = true
		require.Equal(t, proxylite.Traffic(1), a.Used)
	}
	require.Len(t, ids, 64)
	require.Zero(t, st.IPStock)
	require.Len(t, s.Calls(), 128)
}

func TestTheKeyMayBeChosen(t *testing.T) {
	t.Parallel()
	s := demo(t, proxylitetest.WithKey("a+b/c=d&e\"f"))
	require.NoError(t, failed(s.Client().Accounts.List(t.Context())))
	require.NoError(t, s.Client().Accounts.Enable(t.Context(), []string{"bob"}))
	require.NoError(t, s.Client().Orders.Close(t.Context(), awaiting))
	for _, call := range s.Calls() {
		require.Equal(t, 200, call.Status)
		require.Contains(t, []int{0, 200}, call.Code)
		require.NotContains(t, fmt.Sprintf("%+v", call), "a+b/c")
	}
	require.Equal(t, strings.Repeat("proxylitetest.Server("+s.URL+")", 3), fmt.Sprintf("%v%+v%#v", s, s, s))
}

func TestOptionsOfAClientComeLast(t *testing.T) {
	t.Parallel()
	other := demo(t)
	require.NoError(t, failed(demo(t).Client(proxylite.WithBaseURL(other.URL)).User.Info(t.Context())))
	require.Len(t, other.Calls(), 1)
}

// It is not parallel, so that all goroutines that come are its own.
//
//nolint:paralleltest // see above
func TestCloseEndsAllThatWasStarted(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	s := proxylitetest.NewServer(nil)
	c := s.Client(tryOnce)
	require.NoError(t, failed(c.IP.Extract(t.Context(), proxylite.IPExtractParams{Quantity: 3})))
	s.Gateway()
	s.FailNext("User.Info", proxylitetest.Fault{Delay: time.Hour})
	hanging := make(chan error)
	go func() { hanging <- failed(c.User.Info(t.Context())) }()
	require.Eventually(t, func() bool { return len(s.Calls()) == 2 }, time.Minute, time.Millisecond)
	s.Close()
	require.ErrorContains(t, <-hanging, "safe to retry")
	require.Empty(t, s.Proxies())
	s.Close()
	goleak.VerifyNone(t, ignore)
	require.Error(t, failed(c.User.Info(t.Context())))
}

func TestARequestThatIsTooLargeIsCutOff(t *testing.T) {
	t.Parallel()
	s := demo(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/end-point/order/close", strings.NewReader(strings.Repeat(" ", 9<<20)))
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(req)
	require.Error(t, err)
	require.Empty(t, s.Calls())
}

// misuse is a test that is told of its mistakes.
type misuse struct {
	cleanups []func()
	fatal    string
	errors   []string
}

func (m *misuse) Helper()          {}
func (m *misuse) Cleanup(f func()) { m.cleanups = append(m.cleanups, f) }
func (m *misuse) Errorf(format string, args ...any) {
	m.errors = append(m.errors, fmt.Sprintf(format, args...))
}
func (m *misuse) Fatalf(format string, args ...any) { m.fatal = fmt.Sprintf(format, args...) }

func TestAMistakeInATestEndsIt(t *testing.T) {
	t.Parallel()
	m := &misuse{}
	s := proxylitetest.NewServer(m)
	s.FailNext("Order.Create", proxylitetest.Fault{Code: 3})
	require.Equal(t, `proxylitetest: FailNext: there is no operation "Order.Create"`, m.fatal)
	for status, refused := range map[int]bool{101: true, 199: true, 200: false, 999: false, 1000: true} {
		m.fatal = ""
		s.FailNext("Orders.Create", proxylitetest.Fault{Status: status})
		require.Equal(t, refused, m.fatal == fmt.Sprintf("proxylitetest: FailNext: %d can't be the status of a response", status))
	}
	s.Client(proxylite.WithBaseURL("ftp://127.0.0.1"))
	require.Contains(t, m.fatal, "proxylitetest: Client: proxylite: the base URL must be https")
	require.Len(t, m.cleanups, 1)
	m.cleanups[0]()
	require.Equal(t, []string{"proxylitetest: 2 of the faults set up for Orders.Create were not used"}, m.errors)
	require.Error(t, failed(s.Client(tryOnce).User.Info(t.Context())))

	alone := proxylitetest.NewServer(nil)
	defer alone.Close()
	require.Panics(t, func() { alone.FailNext("", proxylitetest.Fault{Code: 3}) })
	alone.FailNext("Orders.Create", proxylitetest.Fault{Code: 3}) // nobody to tell
}

// A fault that did not come to pass means that a test does not test it.
func TestFaultsThatAreNotUsedFailTheTest(t *testing.T) {
	t.Parallel()
	m := &misuse{}
	s := proxylitetest.NewServer(m, proxylitetest.WithoutProxies())
	s.FailNext("User.Info", proxylitetest.Fault{Code: 9}, proxylitetest.Fault{Code: 9}, proxylitetest.Fault{Code: 9})
	s.FailNext("Accounts.List", proxylitetest.Fault{Code: 9})
	s.FailNext("Orders.List", proxylitetest.Fault{Code: 9})
	require.Error(t, failed(s.Client(tryOnce).User.Info(t.Context())))
	require.Error(t, failed(s.Client(tryOnce).Orders.List(t.Context(), proxylite.OrderListParams{})))
	require.Empty(t, m.errors)
	m.cleanups[0]()
	require.Equal(t, []string{
		"proxylitetest: 1 of the faults set up for Accounts.List were not used",
		"proxylitetest: 2 of the faults set up for User.Info were not used",
	}, m.errors)
}

// Accounts may be changed by hand at any time; they are found all the same.
func TestAccountsAreFoundHoweverTheStateWasChanged(t *testing.T) {
	t.Parallel()
	s := demo(t, proxylitetest.WithState(proxylitetest.State{}))
	c := s.Client(tryOnce)
	enable := func(name string) error { return c.Accounts.Enable(t.Context(), []string{name}) }
	require.Error(t, enable("bob"))
	s.Update(func(st *proxylitetest.State) {
		st.Use("bob", now, 1)
		st.Accounts = append(st.Accounts, proxylite.Account{Username: "pl-bob"}, proxylite.Account{Username: "pl-eve"})
		st.Use("bob", now, 2)
		st.Use("pl-eve", now, 4)
	})
	require.NoError(t, enable("bob"))
	s.Update(func(st *proxylitetest.State) {
		st.Accounts[0].Username = "pl-ann"
		st.Use("ann", now, 8)
		st.Use("bob", now, 16)
		st.Accounts[0], st.Accounts[1] = st.Accounts[1], st.Accounts[0]
		st.Use("ann", now, 32)
		st.Use("eve", now, 64)
	})
	require.Error(t, enable("bob"))
	require.NoError(t, enable("ann"))
	require.NoError(t, c.Accounts.Add(t.Context(), proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{Username: "new", Password: proxylite.NewPassword("pw")}}}))
	require.NoError(t, enable("pl-new"))
	require.NoError(t, c.Accounts.Delete(t.Context(), []string{"eve"}))
	require.Error(t, enable("eve"))
	require.NoError(t, enable("new"))
	s.Update(func(st *proxylitetest.State) { st.Accounts = st.Accounts[:0] })
	require.Error(t, enable("new"))

	used := map[string]proxylite.Traffic{}
	for _, u := range s.State().Usage {
		used[u.Username] += u.Traffic
	}
	require.Equal(t, map[string]proxylite.Traffic{"pl-bob": 2, "pl-eve": 68, "pl-ann": 40}, used)
}
