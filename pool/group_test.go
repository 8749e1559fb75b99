package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/pool"
)

func TestAGroupHasAPoolForEachKeyAndOneQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		m := &made{life: time.Hour}
		opened := map[string]int{}
		bad := errors.New("no such country")
		g := pool.NewGroup(func(key string) (pool.Source, error) {
			opened[key]++
			if key == "XX" {
				return pool.Source{}, bad
			}
			return m.source(4), nil
		}, pool.WithQuota(6, time.Hour), pool.WithTransport(n.transport()))
		defer func() { require.NoError(t, g.Close()) }()
		through := map[string]string{}
		for range 3 {
			for _, key := range []string{"US", "DE"} {
				body, err := get(pool.WithAffinity(t.Context(), key), g.Transport(), "http://target.test/")
				require.NoError(t, err)
				if other := through[body]; other != "" {
					require.Equal(t, other, key, "the stocks are apart")
				}
				through[body] = key
			}
		}
		synctest.Wait()
		require.Equal(t, map[string]int{"US": 1, "DE": 1}, opened)
		require.Equal(t, 6, m.made(), "one quota")
		require.Len(t, g.Stats(), 2)

		_, err := g.Get(t.Context())
		require.ErrorContains(t, err, "WithAffinity")
		_, err = g.Get(pool.WithAffinity(t.Context(), "XX"))
		require.ErrorIs(t, err, bad)
		require.NoError(t, g.Close())
		_, err = g.Get(pool.WithAffinity(t.Context(), "US"))
		require.ErrorIs(t, err, pool.ErrClosed)
		_, err = get(pool.WithAffinity(context.Background(), "FR"), g.Transport(), "http://target.test/")
		require.ErrorIs(t, err, pool.ErrClosed)
	})
}
