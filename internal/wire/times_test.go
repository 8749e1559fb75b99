package wire_test

import (
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	t.Parallel()
	noon := time.Date(2022, 5, 13, 12, 0, 0, 0, zone)
	check(t, cases[time.Time]{
		`"2022-05-13 12:00:00"`: {want: noon}, `" 2022-05-13 12:00 "`: {want: noon}, `"2022-05-13T12:00:00"`: {want: noon},
		`"2022-05-13T04:00:00Z"`: {want: noon}, `"2022-05-13T12:00:00+08:00"`: {want: noon}, `"2022-05-13 04:00:00Z"`: {want: noon},
		`"2022-05-13T04:00:00.5Z"`: {want: noon.Add(time.Second / 2)}, `"2022-05-13"`: {want: noon.Add(-12 * time.Hour)},
		`1652414400`: {want: noon}, `"1652414400"`: {want: noon}, `1652414400500`: {want: noon.Add(time.Second / 2)},
		`""`: {}, `null`: {}, `0`: {}, `"0"`: {}, `false`: {}, `"string"`: {}, `"0000-00-00 00:00:00"`: {}, `"0000-00-00"`: {}, `"0001-01-01T00:00:00Z"`: {}, `"-0001-11-30 00:00:00"`: {},
		// In the zone, but where JSON could not hold the year then.
		`"9999-12-31T00:00:00Z"`: {want: time.Date(9999, 12, 31, 8, 0, 0, 0, zone)}, `"9999-12-31T20:00:00Z"`: {want: time.Date(9999, 12, 31, 20, 0, 0, 0, time.UTC)},
		`{`: {why: "ends too early"},
	})
}
