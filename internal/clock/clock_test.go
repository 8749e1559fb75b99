package clock_test

import (
	"math"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/clock"
)

// clamp is what exact arithmetic gives, held within an int64.
func clamp(n *big.Int) int64 {
	switch {
	case n.Cmp(big.NewInt(math.MaxInt64)) > 0:
		return math.MaxInt64
	case n.Cmp(big.NewInt(math.MinInt64)) < 0:
		return math.MinInt64
	}
	return n.Int64()
}

func FuzzInstantsDoNotOverflow(f *testing.F) {
	for _, n := range []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64} {
		for _, m := range []int64{math.MinInt64, -1, 0, 1, math.MaxInt64} {
			f.Add(n, m)
		}
	}
	f.Fuzz(func(t *testing.T, a, b int64) {
		i, j, d := clock.Instant(a), clock.Instant(b), time.Duration(b)
		sum := clock.Instant(clamp(new(big.Int).Add(big.NewInt(a), big.NewInt(b))))
		if i == clock.Never || i == clock.Past {
			sum = i
		}
		require.Equal(t, sum, i.Add(d))
		diff := time.Duration(clamp(new(big.Int).Sub(big.NewInt(a), big.NewInt(b))))
		switch {
		case i == j:
			diff = 0
		case i == clock.Never || j == clock.Past:
			diff = math.MaxInt64
		case i == clock.Past || j == clock.Never:
			diff = math.MinInt64
		}
		require.Equal(t, diff, i.Sub(j))
		if a > 0 && b > 0 {
			for _, n := range []int{0, 1, 5, 62, 63, 64, 1000} {
				exact := new(big.Int).Lsh(big.NewInt(a), uint(n))
				if exact.Cmp(big.NewInt(b)) > 0 {
					exact.SetInt64(b)
				}
				require.Equal(t, exact.Int64(), int64(clock.Double(time.Duration(a), n, time.Duration(b))))
			}
		}
	})
}

func FuzzWallSaturates(f *testing.F) {
	f.Add(int64(0), int64(0))
	f.Add(int64(math.MaxInt64), int64(999_999_999))
	f.Add(int64(math.MinInt64), int64(0))
	f.Add(int64(9223372036), int64(854775807))
	f.Add(int64(-9223372037), int64(145224192))
	f.Fuzz(func(t *testing.T, seconds, nanos int64) {
		nanos &= 1<<29 - 1
		if seconds > math.MaxInt64/4 || seconds < math.MinInt64/4 {
			seconds /= 4 // time.Time itself wraps
		}
		at := time.Unix(seconds, nanos)
		exact := new(big.Int).Add(new(big.Int).Mul(big.NewInt(seconds), big.NewInt(1e9)), big.NewInt(nanos))
		got := clock.Wall(at)
		switch {
		case seconds > 9223372035:
			require.Equal(t, clock.Never, got)
		case seconds < -9223372035:
			require.Equal(t, clock.Past, got)
		default:
			require.Equal(t, exact.Int64(), int64(got))
		}
		require.LessOrEqual(t, clock.AddTo(at, math.MaxInt64).Year(), 9999)
	})
}

func TestAddTo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	require.Equal(t, now.Add(time.Hour), clock.AddTo(now, time.Hour))
	require.Equal(t, 9999, clock.AddTo(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64).Year())
	require.Equal(t, 9999, clock.AddTo(time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC), 0).Year())
}

func TestSinceIsMonotonic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		origin := time.Now()
		time.Sleep(time.Minute)
		require.Equal(t, clock.Instant(time.Minute), clock.Since(origin, time.Now()))
	})
}
