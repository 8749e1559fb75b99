package redisstore_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool/redisstore"
	"github.com/proxylite/proxylite-go/pool/storetest"
)

// mini is a Redis in this process with a clock of its own.
type mini struct {
	*miniredis.Miniredis
	now time.Time
}

func newMini(t *testing.T) *mini {
	t.Helper()
	m := &mini{miniredis.RunT(t), time.Now()}
	m.SetTime(m.now)
	return m
}

func (m *mini) advance(d time.Duration) {
	m.now = m.now.Add(d)
	m.SetTime(m.now)
	m.FastForward(d)
}

func open(t *testing.T, addr string, o redisstore.Options) *redisstore.Store {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true, ReadTimeout: time.Minute})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	s, err := redisstore.New(client, o)
	require.NoError(t, err)
	return s
}

func TestConformanceInMemory(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key []byte
		off time.Duration // the server's clock less that of this machine
	}{
		"readable": {}, "encrypted": {key: []byte("0123456789abcdef")}, "an hour behind": {off: time.Hour}, "an hour ahead": {off: -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) storetest.Harness {
				m := newMini(t)
				m.now = m.now.Add(c.off)
				m.SetTime(m.now)
				s := open(t, m.Addr(), redisstore.Options{Key: c.key})
				require.NoError(t, s.Create(t.Context(), "stock", "one", "two"))
				return storetest.Harness{Store: s, Advance: m.advance}
			})
		})
	}
}
