package wire

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// decodeTime reads a time. A value that means no time, and one that is not a time, give the
// zero time. The latter is also stored in the unread map of the object.
func decodeTime(st *state, v reflect.Value) error {
	text, kind, err := st.scalar()
	if err != nil {
		return err
	}
	var t time.Time
	var ok bool
	switch kind {
	case '"', '0':
		t, ok = parseTime(string(text), st.zone)
	default:
		if ok = isBlank(text); !ok {
			t, ok = st.phpTime(text)
		}
	}
	if !ok {
		st.unread = string(text)
	}
	*v.Addr().Interface().(*time.Time) = t
	return nil
}

// phpTime reads a DateTime of PHP in its JSON form.
func (st *state) phpTime(val []byte) (time.Time, bool) {
	var o struct {
		Date string `json:"date"`
		Type int    `json:"timezone_type"`
		Zone string `json:"timezone"`
	}
	v := reflect.ValueOf(&o).Elem()
	if planFor(v.Type()).decode(st.sub(val), v) != nil || o.Date == "" {
		return time.Time{}, false
	}
	switch o.Type {
	case 1, 2: // +08:00, or an abbreviation such as UTC
		if _, ok := parseTime("2000-01-01 00:00:00"+o.Zone, st.zone); o.Zone == "" || !ok {
			return time.Time{}, false
		}
		return parseTime(o.Date+o.Zone, st.zone)
	case 0, 3: // a name; Carbon omits the type
		zone := st.b.location(o.Zone)
		if zone == nil {
			return time.Time{}, false
		}
		t, ok := parseTime(o.Date, zone)
		return inZone(t, ok, st.zone)
	}
	return time.Time{}, false
}

// zones caches the last location. Looking one up reads a file, and most lists have only
// one.
type zones struct {
	name string
	zone *time.Location
}

// location returns the time zone with a name, or nil.
func (z *zones) location(name string) *time.Location {
	if name == "" || name == "Local" || len(name) > 64 {
		return nil
	}
	if z.name != name {
		z.name = name
		var err error
		if z.zone, err = time.LoadLocation(name); err != nil {
			z.zone = nil
			if name == "PRC" || name == "Asia/Shanghai" { // the vendor's zone, if the system has no zone files
				z.zone = time.FixedZone(name, 8*60*60)
			}
		}
	}
	return z.zone
}

// parseTime reads a time in the forms that the API, PHP, MySQL and people use. A time
// without a zone is in zone. The many forms of "no time" give the zero time, including the
// word "string" from the vendor's examples. parseTime returns false for text that is not a
// time or is ambiguous, such as "N/A", "01/02/2026" and "10:00:00 CST".
func parseTime(s string, zone *time.Location) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if s == "string" || strings.Trim(s, "0.") == "" || strings.HasPrefix(s, "0000-00-00") || strings.HasPrefix(s, "0001-01-01") || strings.HasPrefix(s, "-0001") {
		return time.Time{}, true
	}
	// The common forms. Package time parses RFC 3339 without a layout: half the cost,
	// the same checks.
	form := s
	switch {
	case len(s) == len(time.DateTime) && s[10] == ' ':
		form = s[:10] + "T" + s[11:] + "Z"
	case len(s) == len(time.DateOnly):
		form = s + "T00:00:00Z"
	}
	if t, err := time.Parse(time.RFC3339, form); err == nil {
		if len(form) > len(s) {
			year := t.Year()
			t = shownIn(t, zone)
			if 1970 < year && year <= 9999 { // inZone would change nothing
				return t, true
			}
		}
		return inZone(t, true, zone)
	}
	t, ok := parseOdd(strings.Clone(s), zone) // so that s escapes to the heap only here
	return inZone(t, ok, zone)
}

// inZone returns the time in zone, or in UTC if its year would not fit JSON. It returns
// false if the year fits in neither, and for the beginning of 1970 in any zone, which means
// "never": the server may use a different zone than we assume.
func inZone(t time.Time, ok bool, zone *time.Location) (time.Time, bool) {
	if !ok || t.IsZero() {
		return time.Time{}, ok
	}
	if u := t.Unix(); -never <= u && u <= never && u%(30*60) == 0 {
		return time.Time{}, false
	}
	for _, t := range []time.Time{t.In(zone), t.UTC()} {
		if year := t.Year(); year == 1 { // the zero time of a server in another zone
			return time.Time{}, true
		} else if 1 < year && year <= 9999 {
			return t, true
		}
	}
	return time.Time{}, false
}

// never is the maximum number of seconds between the Unix epoch and midnight of 1970-01-01
// in any zone.
const never = 14 * 60 * 60

// timeForm is the general form: date, time and zone. The name of a zone is ignored after an
// offset, and not accepted without one.
var timeForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\d{4})[-/年](\d{1,2})[-/月](\d{1,2})` +
		`(?:[Tt日 ] *(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?|日)?` +
		` *(?:([Zz]|UTC|GMT)|([+-]\d{2})(?::?(\d{2}))?(?: [A-Z]{3,5})?)?$`)
})

// parseOdd reads the less common forms.
func parseOdd(s string, zone *time.Location) (time.Time, bool) {
	if len(s) == len("20060102150405") {
		if t, err := time.Parse("20060102150405", s); err == nil {
			return shownIn(t, zone), true
		}
	}
	for _, layout := range []string{time.RFC1123Z, "Mon, 02 Jan 2006 15:04:05 GMT"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	m := timeForm().FindStringSubmatch(s)
	if m == nil {
		return parseUnix(s)
	}
	m[7] = (m[7] + "000000000")[:9]
	var n [11]int // the groups of timeForm; 0 if missing
	for i := range n {
		n[i], _ = strconv.Atoi(m[i])
	}
	switch {
	case m[8] != "":
		zone = time.UTC
	case m[9] != "":
		if m[9][0] == '-' {
			n[10] = -n[10]
		}
		zone = time.FixedZone("", (n[9]*60+n[10])*60)
	}
	if max(n[9], -n[9]) > 23 || max(n[10], -n[10]) > 59 {
		return time.Time{}, false
	}
	return date(n[1], time.Month(n[2]), n[3], n[4], n[5], n[6], n[7], zone)
}

// date is [time.Date], but returns false for a date or time that does not exist. It accepts
// 24:00 for the end of a day, and leap seconds.
func date(year int, month time.Month, day, hour, minute, second, nano int, zone *time.Location) (time.Time, bool) {
	midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	ok := midnight.Month() == month && midnight.Day() == day && minute < 60 && second <= 60 &&
		(hour < 24 || hour == 24 && minute+second+nano == 0)
	return shownIn(time.Date(year, month, day, hour, minute, second, nano, time.UTC), zone), ok
}

// shownIn returns the time in zone with the same date and clock reading as t has in UTC. If
// that reading does not exist because daylight saving time begins, it uses the offset
// before the change: a day without midnight begins an hour later, not on the day before.
func shownIn(t time.Time, zone *time.Location) time.Time {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	local := time.Date(year, month, day, hour, minute, second, t.Nanosecond(), zone)
	if h, m, s := local.Clock(); local.Day() != day || h != hour || m != minute || s != second {
		_, before := local.Add(-24 * time.Hour).Zone()
		local = t.Add(-time.Duration(before) * time.Second).In(zone)
	}
	return local
}

// parseUnix reads Unix seconds, milliseconds and microseconds. Seconds have ten digits until
// 2286.
func parseUnix(s string) (time.Time, bool) {
	if strings.ContainsAny(s, "eE") { // 1.7934984e9
		n, ok := parseInt(s, false)
		if !ok {
			return time.Time{}, false
		}
		s = strconv.FormatInt(n, 10)
	}
	whole, frac, _ := strings.Cut(s, ".")
	n, err := strconv.ParseUint(whole, 10, 63)
	part, errPart := strconv.ParseUint((frac + "000000000")[:9], 10, 63)
	if err != nil || errPart != nil || strings.Trim(frac, "0123456789") != "" {
		return time.Time{}, false
	}
	switch len(whole) {
	case 10:
		return time.Unix(int64(n), int64(part)), true
	case 13:
		return time.UnixMilli(int64(n)), true
	case 16:
		return time.UnixMicro(int64(n)), true
	}
	return time.Time{}, false
}
