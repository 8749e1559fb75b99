package wire_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

// What is a time is read in any form that has one meaning; what is not, or could be
// two times, is none, and what was sent is kept.
func TestOddTimes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 10, 0, 0, 0, zone)
	type row struct {
		At     time.Time         `json:"at"`
		Unread map[string]string `json:"unread,omitempty" wire:"unread"`
	}
	for form, want := range map[string]time.Time{
		`"2026-11-01 10:00:00.000000"`: at, `"2026-11-01 10:00:00.25"`: at.Add(time.Second / 4), `"2026-11-01T02:00:00.000000Z"`: at, `"2026-11-01T10:00:00+0800"`: at,
		`"2026-11-01T10:00:00+08"`: at, `"2026-11-01T10:00"`: at, `"2026/11/01 10:00:00"`: at, `"2026-11-1 10:00:00"`: at, `"2026/11/1 10:00"`: at,
		`"2026年11月1日 10:00"`: at, `"2026年11月01日10:00:00"`: at, `"2026年11月1日"`: at.Add(-10 * time.Hour), `"2026/11/01"`: at.Add(-10 * time.Hour),
		`"2026-11-01 02:00:00 UTC"`: at, `"2026-11-01 02:00:00 GMT"`: at, `"2026-11-01 10:00:00 +0800"`: at, `"2026-11-01 10:00:00 +0800 CST"`: at, `"2026-10-31 22:30:00-03:30"`: at,
		`"Sun, 01 Nov 2026 02:00:00 GMT"`: at, `"Sun, 01 Nov 2026 10:00:00 +0800"`: at, `"20261101100000"`: at, `20261101100000`: at,
		`1793498400`: at, `1793498400000`: at, `1793498400000000`: at, `1793498400.0`: at, `"1793498400.1234"`: at.Add(123400 * time.Microsecond), `1.7934984e9`: at,
		`"1970-01-01 08:00:01"`: time.Unix(1, 0), `"1970-01-02"`: time.Unix(16*3600, 0),
		`"2026-11-01 24:00:00"`: at.Add(14 * time.Hour), `"2026-11-01 10:00:60"`: at.Add(time.Minute),
		`{"date":"2026-11-01 10:00:00.000000","timezone_type":3,"timezone":"Asia/Shanghai"}`: at,
		`{"date":"2026-11-01 10:00:00.000000","timezone_type":3,"timezone":"PRC"}`:           at,
		`{"date":"2026-11-01 10:00:00.000000","timezone":"Asia/Shanghai"}`:                   at,
		`{"date":"2026-11-01 02:00:00.000000","timezone_type":"3","timezone":"UTC"}`:         at,
		`{"date":"2026-11-01 10:00:00.000000","timezone_type":1,"timezone":"+08:00"}`:        at,
		`{"date":"2026-11-01 02:00:00.000000","timezone_type":2,"timezone":"UTC"}`:           at,
	} {
		got, err := decode[[]row](t, `[{"at":`+form+`}]`)
		require.NoError(t, err, form)
		require.True(t, want.Equal(got[0].At), "%s: %s", form, got[0].At)
		require.Equal(t, zone, got[0].At.Location(), form)
		require.Nil(t, got[0].Unread, form)
	}
	for form, kept := range map[string]string{
		`"N/A"`: "N/A", `"永久"`: "永久", `"-"`: "-", `"null"`: "null", `"\u6c38\u4e45"`: "永久", `true`: "true", `-1`: "-1", `1652414400500000000`: "1652414400500000000", `12345`: "12345", `1e400`: "1e400",
		`"1970-01-01 08:00:00"`: "1970-01-01 08:00:00", `"1970-01-01 00:00:00"`: "1970-01-01 00:00:00", `"1970-01-01"`: "1970-01-01", `"1970-01-01T00:00:00Z"`: "1970-01-01T00:00:00Z",
		`"2026-11-01 10:00:00 CST"`: "2026-11-01 10:00:00 CST", `"01/02/2026"`: "01/02/2026", `"2026-10-32 00:00:00"`: "2026-10-32 00:00:00", `"2026-02-30"`: "2026-02-30", `"2026-13-01 12:00:00"`: "2026-13-01 12:00:00",
		`"2026-11-01 25:00:00"`: "2026-11-01 25:00:00", `"2026-11-01 24:00:01"`: "2026-11-01 24:00:01", `"2026-11-01 10:61:00"`: "2026-11-01 10:61:00", `"2026-11-01 10:00:00+24:00"`: "2026-11-01 10:00:00+24:00", `"2026-11-01 10:00:00+08:60"`: "2026-11-01 10:00:00+08:60",
		`"0000-06-01T00:00:00Z"`: "0000-06-01T00:00:00Z", `"9999-12-31T23:00:00-05:00"`: "9999-12-31T23:00:00-05:00", `"10000-01-01 00:00:00"`: "10000-01-01 00:00:00",
		`[1]`: "[1]", `{"a":1}`: `{"a":1}`, `{"date":"soon","timezone_type":3,"timezone":"UTC"}`: `{"date":"soon","timezone_type":3,"timezone":"UTC"}`,
		`{"date":"2026-11-01 10:00:00","timezone_type":2,"timezone":"CST"}`:           `{"date":"2026-11-01 10:00:00","timezone_type":2,"timezone":"CST"}`,
		`{"date":"2026-11-01 10:00:00","timezone_type":3,"timezone":"Local"}`:         `{"date":"2026-11-01 10:00:00","timezone_type":3,"timezone":"Local"}`,
		`{"date":"2026-11-01 10:00:00","timezone_type":3,"timezone":"No/Where"}`:      `{"date":"2026-11-01 10:00:00","timezone_type":3,"timezone":"No/Where"}`,
		`{"date":"2026-11-01 10:00:00","timezone_type":1,"timezone":""}`:              `{"date":"2026-11-01 10:00:00","timezone_type":1,"timezone":""}`,
		`{"date":"2026-11-01 10:00:00","timezone_type":4,"timezone":"UTC"}`:           `{"date":"2026-11-01 10:00:00","timezone_type":4,"timezone":"UTC"}`,
		`{"date":"2026-11-01 10:00:00","timezone_type":3,"timezone":"../etc/passwd"}`: `{"date":"2026-11-01 10:00:00","timezone_type":3,"timezone":"../etc/passwd"}`,
	} {
		got, err := decode[[]row](t, `[{"at":`+form+`},{"at":"2026-11-01 10:00:00"}]`)
		require.NoError(t, err, form)
		require.Zero(t, got[0].At, form)
		require.Equal(t, map[string]string{"at": kept}, got[0].Unread, form)
		require.True(t, at.Equal(got[1].At))
		require.Nil(t, got[1].Unread, "kept with the wrong entry")
	}
	for _, none := range []string{`""`, `null`, `0`, `"0"`, `0.0`, `false`, `"0000-00-00 00:00:00"`, `[]`, `{}`, `{"date":"-0001-11-30 00:00:00.000000","timezone_type":3,"timezone":"UTC"}`} {
		got, err := decode[row](t, `{"at":`+none+`}`)
		require.NoError(t, err, none)
		require.Zero(t, got, none)
	}
}

// Times that are no time do not harm their neighbours, wherever they stand.
func TestOddTimesAnywhere(t *testing.T) {
	t.Parallel()
	type inner struct {
		At time.Time `json:"at"`
	}
	type row struct {
		Ptr    *time.Time           `json:"ptr"`
		Map    map[string]time.Time `json:"map"`
		List   []time.Time          `json:"times"`
		In     inner                `json:"in"`
		Soft   time.Time            `json:"soft" wire:"soft"`
		N      int                  `json:"n" wire:"soft"`
		Unread map[string]string    `json:"unread" wire:"unread"`
	}
	got, err := decode[row](t, `{"ptr":"N/A","map":{"a":"N/A","b":"2022-05-13"},"times":["x",null],"in":{"at":"gone"},"soft":"s","n":"many","unread":{"a":"b"}}`)
	require.NoError(t, err)
	day := time.Date(2022, 5, 13, 0, 0, 0, 0, zone)
	require.Equal(t, row{
		Map: map[string]time.Time{"a": {}, "b": day}, List: []time.Time{{}, {}},
		Unread: map[string]string{"ptr": "N/A", "map": "N/A", "times": "x", "soft": "s", "n": "many"},
	}, got)

	got, err = decode[row](t, `{"ptr":"2022-05-13","soft":"2022-05-13","n":7}`)
	require.NoError(t, err)
	require.Equal(t, row{Ptr: &day, Soft: day, N: 7}, got)
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{"2022-05-13 12:14:15", "2026/11/01 10:00:00 +0800 CST", "1.7934984e9", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "2026年11月1日", "N/A", "1969-12-31 24:00:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted, err := json.Marshal(s)
		require.NoError(t, err)
		type row struct {
			At     time.Time         `json:"at"`
			Unread map[string]string `json:"-" wire:"unread"`
		}
		got, err := decode[row](t, `{"at":`+string(quoted)+`}`)
		require.NoError(t, err)
		b, err := json.Marshal(got)
		require.NoError(t, err, "a time that JSON can't hold")
		again, err := decode[row](t, string(b))
		require.NoError(t, err)
		require.True(t, got.At.Equal(again.At), "%q: %s, then %s", s, got.At, again.At)
		require.True(t, got.Unread == nil || got.At.IsZero(), "both a time and none")
	})
}
