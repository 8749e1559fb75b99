// Package clock counts time without overflow: an [Instant] that is too far away
// to be counted is the last or the first one there is.
package clock

import (
	"math"
	"time"
)

// Instant is a point in time, in nanoseconds from an origin that its maker
// defines. Instants of one origin compare with the usual operators.
type Instant int64

// The ends of time. A duration added to either of them changes nothing.
const (
	Never Instant = math.MaxInt64
	Past  Instant = math.MinInt64
)

// Wall returns t on the wall clock, counted from 1970. Times outside the years
// 1678 to 2262 become [Past] or [Never].
func Wall(t time.Time) Instant {
	// The first and the last second are not whole, so they are left out.
	const last = math.MaxInt64/int64(time.Second) - 1
	switch s := t.Unix(); {
	case s > last:
		return Never
	case s < -last:
		return Past
	}
	return Instant(t.UnixNano())
}

// Since returns the time from origin to t on the monotonic clock, if both have a
// reading of it, as those of [time.Now] have.
func Since(origin, t time.Time) Instant { return Instant(t.Sub(origin)) }

// Add returns i later by d.
func (i Instant) Add(d time.Duration) Instant {
	if i == Never || i == Past {
		return i
	}
	sum := i + Instant(d)
	switch {
	case d > 0 && sum < i:
		return Never
	case d < 0 && sum > i:
		return Past
	}
	return sum
}

// Sub returns the time from j to i. The longest and the shortest duration stand for
// all that are longer or shorter.
func (i Instant) Sub(j Instant) time.Duration {
	d := i - j
	switch {
	case i == j:
		return 0
	case i == Never || j == Past || i > j && d < 0:
		return math.MaxInt64
	case i == Past || j == Never || i < j && d > 0:
		return math.MinInt64
	}
	return time.Duration(d)
}

// Double returns d doubled n times, and at most limit.
func Double(d time.Duration, n int, limit time.Duration) time.Duration {
	for ; n > 0 && d < limit; n-- {
		if d > limit/2 {
			return limit
		}
		d *= 2
	}
	return min(d, limit)
}

// AddTo returns t later by d. Years past 9999, which no text format can hold,
// become the end of 9999.
func AddTo(t time.Time, d time.Duration) time.Time {
	end := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	if t.After(end) {
		return end
	}
	if sum := t.Add(d); !sum.After(end) {
		return sum
	}
	return end
}
