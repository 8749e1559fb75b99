package redisstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/redisstore"
)

// member is a pool as the store sees it.
type member struct {
	t     *testing.T
	store *redisstore.Store
	pool.Member
}

func join(t *testing.T, s *redisstore.Store, id string) *member {
	t.Helper()
	m := &member{t, s, pool.Member{Namespace: "stock", ID: id}}
	m.sync(pool.Report{Full: true})
	return m
}

func (m *member) sync(r pool.Report) []string {
	m.t.Helper()
	st, err := m.store.Sync(m.t.Context(), m.Member, r)
	require.NoError(m.t, err)
	m.Epoch = st.Epoch
	return st.Lost
}

func (m *member) claim(w pool.Want) pool.Claim {
	m.t.Helper()
	c, err := m.store.Claim(m.t.Context(), m.Member, w)
	require.NoError(m.t, err)
	return c
}

func (m *member) stock(names ...string) {
	m.t.Helper()
	c := m.claim(pool.Want{N: 1000, MinLeft: 1000 * time.Hour, Ask: 1000})
	require.NotNil(m.t, c.Grant, c.Why)
	require.NoError(m.t, m.store.Deposit(m.t.Context(), m.Member, *c.Grant, len(names), proxies(names...)))
}

func proxies(names ...string) (list []pool.Holding) {
	for _, name := range names {
		list = append(list, pool.Holding{ID: name, Endpoint: proxylite.Endpoint{Host: name, Port: 1, Username: "user-" + name, Password: proxylite.NewPassword("secret-" + name)}, Left: time.Hour})
	}
	return list
}

func created(t *testing.T, m *mini, o redisstore.Options) *redisstore.Store {
	t.Helper()
	s := open(t, m.Addr(), o)
	require.NoError(t, s.Create(t.Context(), "stock"))
	return s
}

// After a loss of data nothing is handed out until all claims have ended that nobody
// has reported. Those that are alive go on; a list that is too old does not count.
func TestALossOfData(t *testing.T) {
	t.Parallel()
	lose := map[string]func(m *mini){
		"all":      func(m *mini) { m.FlushAll() },
		"one key":  func(m *mini) { m.Del("proxylite:{default}:stock:stock:held") },
		"metadata": func(m *mini) { m.Del("proxylite:{default}:stock:stock:meta") },
		"ledger":   func(m *mini) { m.Del("proxylite:{default}:ledger:led") },
	}
	for name, lose := range lose {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMini(t)
			s := created(t, m, redisstore.Options{TTL: 10 * time.Second})
			a, stale, b := join(t, s, "a"), join(t, s, "stale"), join(t, s, "b")
			a.stock("x", "yy", "zzz")
			first := a.claim(pool.Want{N: 1}).Got
			second := stale.claim(pool.Want{N: 1}).Got
			lose(m)
			m.advance(time.Second)
			_, err := s.Sync(t.Context(), a.Member, pool.Report{Alive: true})
			require.ErrorIs(t, err, pool.ErrRejoin)
			_, err = s.Claim(t.Context(), b.Member, pool.Want{N: 1})
			require.ErrorIs(t, err, pool.ErrRejoin)
			require.Empty(t, a.sync(pool.Report{Full: true, Alive: true, Held: first}))
			require.Equal(t, []string{second[0].ID}, stale.sync(pool.Report{Full: true, Held: second}), "its lease had ended")
			b.sync(pool.Report{Full: true})
			c := b.claim(pool.Want{N: 9, Ask: 9})
			require.Equal(t, pool.WaitHold, c.Why)
			require.Empty(t, c.Got)
			require.Nil(t, c.Grant)
			require.LessOrEqual(t, c.Again, 11*time.Second)
			for range 3 {
				m.advance(4 * time.Second)
				require.Empty(t, a.sync(pool.Report{Alive: true}))
				b.sync(pool.Report{Alive: true})
			}
			b.stock("x", "yy", "zzz")
			got := b.claim(pool.Want{N: 9}).Got
			require.Len(t, got, 2)
			for _, h := range got {
				require.NotEqual(t, first[0].ID, h.ID)
			}
		})
	}
}

func TestANamespaceThatIsNotThereMayBeOneThatWasLost(t *testing.T) {
	t.Parallel()
	m := newMini(t)
	s := open(t, m.Addr(), redisstore.Options{})
	a := join(t, s, "a")
	require.Equal(t, pool.WaitHold, a.claim(pool.Want{N: 1, Ask: 1}).Why)
	require.NoError(t, s.Create(t.Context(), "stock"))
	require.Equal(t, pool.WaitHold, a.claim(pool.Want{N: 1, Ask: 1}).Why, "Create does nothing to what is there")
}

// A ledger that was lost counts as full where it is strict; else those who are alive
// restore it.
func TestALostLedger(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprint("strict ", strict), func(t *testing.T) {
			t.Parallel()
			m := newMini(t)
			s := created(t, m, redisstore.Options{Strict: strict, TTL: 10 * time.Second})
			want := pool.Want{N: 10, Ask: 10, Limit: 15, Per: time.Hour}
			a := join(t, s, "a")
			g := a.claim(want).Grant
			require.NotNil(t, g)
			require.NoError(t, s.Deposit(t.Context(), a.Member, *g, 10, nil))
			m.FlushAll()
			a.sync(pool.Report{Full: true, Alive: true, Bookings: []pool.Booking{{Token: g.Token, N: 10, Ago: time.Minute, Per: time.Hour}}})
			m.advance(5 * time.Second)
			a.sync(pool.Report{Alive: true})
			m.advance(9 * time.Second)
			a.sync(pool.Report{Full: true, Bookings: []pool.Booking{{Token: g.Token, N: 10, Ago: 2 * time.Minute, Per: time.Hour}}})
			c := a.claim(want)
			if strict {
				require.Equal(t, pool.WaitQuota, c.Why)
				require.Greater(t, c.Again, 59*time.Minute)
				return
			}
			require.Equal(t, 5, c.Grant.N)
		})
	}
}

// What was given up by the caller does nothing when it arrives at last.
func TestACallThatArrivesLateDoesNothing(t *testing.T) {
	t.Parallel()
	m := newMini(t)
	s := created(t, m, redisstore.Options{})
	a := join(t, s, "a")
	a.stock("x")
	client := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1})
	defer func() { _ = client.Close() }()
	var body atomic.Value
	client.AddHook(capture{&body})
	tapped, err := redisstore.New(client, redisstore.Options{})
	require.NoError(t, err)
	b := join(t, tapped, "b")
	ctx := t.Context()
	_, err = tapped.Claim(ctx, b.Member, pool.Want{N: 1})
	require.NoError(t, err)
	args := body.Load().([]any)
	reply, err := client.Do(ctx, args...).Slice()
	require.NoError(t, err)
	require.Equal(t, "repeated", reply[0], "a call that arrives twice")

	var c map[string]any
	last := len(args) - 1
	require.NoError(t, json.Unmarshal(args[last].([]byte), &c))
	c["notafter"], c["seq"] = m.now.Add(-time.Second).UnixMilli(), 1000
	args[last], err = json.Marshal(c)
	require.NoError(t, err)
	reply, err = client.Do(ctx, args...).Slice()
	require.NoError(t, err)
	require.Equal(t, "late", reply[0])
}

func TestProcessesWithAnotherConfigurationAreRefused(t *testing.T) {
	t.Parallel()
	m := newMini(t)
	created(t, m, redisstore.Options{})
	for _, o := range []redisstore.Options{{TTL: time.Minute}, {Key: []byte("0123456789abcdef")}} {
		s := open(t, m.Addr(), o)
		_, err := s.Sync(t.Context(), pool.Member{Namespace: "stock", ID: "b"}, pool.Report{Full: true})
		require.ErrorIs(t, err, pool.ErrStoreConfig)

		p, err := pool.New(pool.Source{Costs: true, Name: "stock", Fetch: nil}, pool.WithStore(s))
		require.Error(t, err)
		require.Nil(t, p)
	}
}

// With a key nothing in Redis says what the proxies are, and nothing can be moved to
// another place.
func TestLoginsAreEncrypted(t *testing.T) {
	t.Parallel()
	for _, key := range [][]byte{nil, []byte("0123456789abcdef0123456789abcdef")} {
		m := newMini(t)
		var log strings.Builder
		s := created(t, m, redisstore.Options{Key: key, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		a := join(t, s, "member-name")
		a.stock("host-one", "host-two")
		got := a.claim(pool.Want{N: 1}).Got
		a.sync(pool.Report{Alive: true, Pins: map[string]string{"session-of-bob": got[0].ID}})
		const data = "proxylite:{default}:stock:stock:data"
		fields, err := m.HKeys(data)
		require.NoError(t, err)
		dump := m.Dump() // which cuts long values
		for _, f := range fields {
			dump += m.HGet(data, f)
		}
		if key == nil {
			require.Contains(t, dump, "secret-host-one", "as the documentation says")
			continue
		}
		for _, secret := range []string{"host-one", "host-two", "secret-", "user-", "session-of-bob", string(key)} {
			require.NotContains(t, dump, secret)
		}
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", s, s, s)+fmt.Sprintf("%v %+v %#v", redisstore.Options{Key: key}, redisstore.Options{Key: key}, redisstore.Options{Key: key}), "0123")

		m.HSet(data, fields[1], m.HGet(data, fields[2]))
		_, err = s.Claim(t.Context(), a.Member, pool.Want{N: 9})
		if err == nil { // the other one was swapped
			a.sync(pool.Report{Full: true, Alive: true})
			_, err = s.Claim(t.Context(), a.Member, pool.Want{N: 9})
		}
		require.ErrorIs(t, err, redisstore.ErrSealed)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = s.Sync(gone, a.Member, pool.Report{})
		require.ErrorIs(t, err, context.Canceled)
		var failed *redisstore.Error
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "sync", failed.Op)
		require.Contains(t, log.String(), "level=WARN")
	}
}

// A day of churn leaves hardly anything behind, and in the end nothing.
func TestADayOfChurnInBoundedMemory(t *testing.T) {
	t.Parallel()
	m := newMini(t)
	s := created(t, m, redisstore.Options{TTL: 30 * time.Second})
	want := pool.Want{N: 10, Ask: 10, Limit: 1 << 20, Per: time.Hour}
	most := 0
	for minute := range 24 * 60 {
		a := join(t, s, fmt.Sprint("member ", minute))
		if g := a.claim(want).Grant; g != nil {
			list := proxies(names(minute)...)
			for i := range list {
				list[i].Left = 10 * time.Minute
			}
			require.NoError(t, s.Deposit(t.Context(), a.Member, *g, g.N, list))
		}
		got := a.claim(pool.Want{N: 5}).Got
		pins := map[string]string{}
		var drop []pool.Drop
		for i, h := range got {
			pins[fmt.Sprint("session ", minute, i)] = h.ID
			drop = append(drop, pool.Drop{ID: h.ID, Retired: i%2 == 0, For: 10 * time.Minute})
		}
		a.sync(pool.Report{Alive: true, Pins: pins, Drop: drop[:len(drop)/2]})
		m.advance(time.Minute) // it dies
		if minute > 120 {
			most = max(most, len(m.Dump()))
		}
		if minute == 180 {
			most = 0
		}
		if minute == 240 {
			t.Logf("after 4 h: %d bytes", len(m.Dump()))
		}
	}
	t.Logf("at most %d bytes, at the end %d", most, len(m.Dump()))
	require.Less(t, most, 100_000)
	for _, key := range m.Keys() {
		require.NotZero(t, m.TTL(key), key)
	}
	m.advance(8 * 24 * time.Hour)
	require.Empty(t, m.Keys())
}

func names(n int) (list []string) {
	for i := range 10 {
		list = append(list, fmt.Sprintf("host-%d-%d", n, i))
	}
	return list
}

func TestOptionsThatAreWrong(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{})
	defer func() { _ = client.Close() }()
	for want, o := range map[string]redisstore.Options{
		"at least 1s":     {TTL: time.Millisecond},
		"16, 24 or 32":    {Key: []byte("short")},
		"not be negative": {Replicas: -1},
		"contain braces":  {Fleet: "{x}"},
	} {
		_, err := redisstore.New(client, o)
		require.ErrorContains(t, err, want)
	}
	_, err := redisstore.New(nil, redisstore.Options{})
	require.ErrorContains(t, err, "needs a client")
	_, err = redisstore.Open("redis://bob:secret@/%zz", redisstore.Options{})
	require.ErrorContains(t, err, "URL")
	require.NotContains(t, err.Error(), "secret")
}
