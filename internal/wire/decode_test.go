package wire_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/wire"
)

var zone = time.FixedZone("UTC+8", 8*3600)

type decimal string

func (d decimal) ExactNumber() string { return string(d) }

// decode reads raw as a T.
func decode[T any](raw string) (T, error) {
	var out T
	err := wire.DecodeValue([]byte(raw), zone, &out)
	return out, err
}

// A case is what a value reads as, or part of why it does not.
type cases[T any] map[string]struct {
	want T
	why  string
}

func check[T any](t *testing.T, cases cases[T]) {
	t.Helper()
	for raw, tt := range cases {
		got, err := decode[T](raw)
		if tt.why != "" {
			require.ErrorContains(t, err, tt.why, raw)
			var syntax *wire.SyntaxError
			require.ErrorAs(t, err, &syntax)
			continue
		}
		require.NoError(t, err, raw)
		require.Equal(t, tt.want, got, raw)
	}
}

func TestWholeNumbers(t *testing.T) {
	t.Parallel()
	const noFit = "not a whole number that fits 64 bits"
	check(t, cases[int64]{
		`12`: {want: 12}, `-12`: {want: -12}, `"12"`: {want: 12}, `" 12 "`: {want: 12}, `12.0`: {want: 12}, `12.00`: {want: 12}, `1e3`: {want: 1000},
		`"1.2e1"`: {want: 12}, `""`: {}, `" "`: {}, `null`: {}, `false`: {}, `true`: {want: 1}, `-0`: {},
		`9223372036854775807`: {want: math.MaxInt64}, `"-9223372036854775808"`: {want: math.MinInt64},
		`9223372036854775807.0`: {want: math.MaxInt64}, `9007199254740991e0`: {want: 1<<53 - 1},
		`9223372036854775808`: {why: noFit}, `9007199254740992e0`: {why: noFit}, `-9007199254740992e0`: {why: noFit}, `1e400`: {why: noFit}, `12.5`: {why: noFit}, `"x"`: {why: noFit},
		`"0x1F"`: {why: noFit}, `"1_000"`: {why: noFit}, `"NaN"`: {why: noFit}, `"+5x"`: {why: noFit},
		`{}`: {why: "an object where a number belongs"}, `[]`: {why: "a list where a number belongs"}, ``: {why: "ends too early"},
	})
	type rounded struct {
		N int64 `json:"n" wire:"round"`
	}
	check(t, cases[rounded]{
		`{"n":1.5}`: {want: rounded{2}}, `{"n":"1.4"}`: {want: rounded{1}}, `{"n":-1.5}`: {want: rounded{-2}}, `{"n":-0.4}`: {}, `{"n":1e300}`: {why: noFit},
	})
}

func TestExactNumbers(t *testing.T) {
	t.Parallel()
	check(t, cases[decimal]{
		`18.20`: {want: "18.20"}, `"18.20"`: {want: "18.20"}, `" 7 "`: {want: "7"}, `-1e99`: {want: "-1e99"}, `1E-05`: {want: "1E-05"},
		`12345678901234567890.123456789`: {want: "12345678901234567890.123456789"}, `null`: {}, `""`: {},
		`1e100`: {why: "sane size"}, `"1e-1000000"`: {why: "sane size"}, `"1/3"`: {why: "not a number"}, `"0x1"`: {why: "not a number"},
		`true`: {why: "not a number"}, `[1]`: {why: "not a number"}, `"Infinity"`: {why: "not a number"}, `"\x"`: {why: "not valid JSON"},
	})
}

func TestTexts(t *testing.T) {
	t.Parallel()
	check(t, cases[string]{
		`"a\"\u722c"`: {want: `a"爬`}, `""`: {}, `null`: {}, `20220513121343398614614654`: {want: "20220513121343398614614654"},
		`1.50`: {want: "1.50"}, `true`: {want: "true"}, `false`: {want: "false"}, "\"a\xffb\"": {want: "a\ufffdb"},
		`{}`: {why: "an object where text belongs"}, `["a"]`: {why: "a list where text belongs"}, `"a`: {why: "ends too early"}, "\"\n\"": {why: "not valid JSON"},
	})
}

func TestBooleans(t *testing.T) {
	t.Parallel()
	check(t, cases[bool]{
		`true`: {want: true}, `1`: {want: true}, `"1"`: {want: true}, `"TRUE"`: {want: true}, `" true "`: {want: true},
		`false`: {}, `0`: {}, `"0"`: {}, `"False"`: {}, `null`: {}, `""`: {},
		`2`: {why: "not true or false"}, `"yes"`: {why: "not true or false"}, `[]`: {why: "not true or false"}, `tru`: {why: "ends too early"},
	})
}

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
		`"9999-12-31T00:00:00Z"`: {want: time.Date(9999, 12, 31, 8, 0, 0, 0, zone)}, `"9999-12-31T20:00:00Z"`: {want: time.Date(9999, 12, 31, 20, 0, 0, 0, time.UTC)}, `"0000-06-01T00:00:00Z"`: {want: time.Date(0, 6, 1, 8, 0, 0, 0, zone)},
		`"2022-13-01 12:00:00"`: {why: "not a time"}, `"soon"`: {why: "not a time"}, `"2022-13-01"`: {why: "not a time"}, `165241440`: {why: "not a time"}, `1652414400.5`: {why: "not a time"},
		`true`: {why: "not a time"}, `{}`: {why: "not a time"}, `{`: {why: "ends too early"},
	})
}

func TestLists(t *testing.T) {
	t.Parallel()
	check(t, cases[[]int]{
		`[1,"2",null]`: {want: []int{1, 2, 0}}, `[]`: {want: []int{}}, `{}`: {want: []int{}}, `null`: {want: []int{}}, `""`: {want: []int{}}, `false`: {want: []int{}},
		`{"0":7,"2":8}`: {want: []int{7, 8}}, // a list with gaps, as PHP writes it
		`{"a":7}`:       {why: "an object where a list belongs"}, `{"0":1,"a":2}`: {why: "an object where a list belongs"},
		`7`: {why: "a number where a list belongs"}, `"x"`: {why: "text where a list belongs"}, `true`: {why: "a boolean where a list belongs"},
		`[1,"x"]`: {why: "/1: not a whole number"}, `[1`: {why: "ends too early"}, `[1}`: {why: "not valid JSON"}, `{"0":1`: {why: "ends too early"}, `{1:1}`: {why: "not valid JSON"},
	})
	long, err := decode[[]int]("[" + strings.Repeat("1,", 999) + "1]")
	require.NoError(t, err)
	require.Len(t, long, 1000)
	require.NotContains(t, long, 0)
}

type node struct {
	Name string          `json:"name,omitempty"`
	Kids []node          `json:"kids"` // refers to itself
	Next *node           `json:"next"`
	Any  any             `json:"any"`
	Map  map[string]int  `json:"map"`
	F    float64         `json:"f"`
	B    []byte          `json:"b"`
	R    json.RawMessage `json:"r"`
	Bare int
	Skip string `json:"-"`
	hid  string
}

func TestObjects(t *testing.T) {
	t.Parallel()
	check(t, cases[node]{
		`{"name":"a","NAME":"b","x":{"y":[1]},"Bare":3,"Skip":"s","-":"s","hid":"h","kids":[{"name":"k"}],"next":{"next":null}}`: {
			want: node{Name: "a", Bare: 3, Kids: []node{{Name: "k"}}, Next: &node{}},
		},
		`{"any":{"a":[1]},"map":{"a":1},"f":1.5,"b":"YQ==","r":{"a" : 1}}`: {
			want: node{Any: map[string]any{"a": []any{1.0}}, Map: map[string]int{"a": 1}, F: 1.5, B: []byte("a"), R: json.RawMessage(`{"a" : 1}`)},
		},
		`{"r":null}`: {want: node{R: json.RawMessage(`null`)}},
		`null`:       {}, `[]`: {}, `[ ]`: {}, `""`: {}, `false`: {}, `{}`: {},
		`[1]`: {why: "a list where an object belongs"}, `7`: {why: "a number where an object belongs"}, `"x"`: {why: "text where an object belongs"},
		`{"name":{}}`: {why: "/name: an object where text belongs"}, `{"next":{"kids":[{"Bare":"x"}]}}`: {why: "/next/kids/0/Bare: not a whole number"},
		`{"map":7}`: {why: "/map: does not fit map[string]int"}, `{"f":"x"}`: {why: "/f: does not fit float64"}, `{"b":"%"}`: {why: "/b: does not fit []uint8"},
		`{"name"`: {why: "ends too early"}, `{"name":"a"`: {why: "ends too early"}, `{"name" 1}`: {why: "not valid JSON"}, `{"x":`: {why: "ends too early"},
		`{"r":`: {why: "ends too early"}, `{"any":`: {why: "ends too early"}, `[1`: {why: "ends too early"}, `{x}`: {why: "not valid JSON"},
	})
	require.Empty(t, node{}.hid)
}

func TestEmbeddedStructsAreLeftToTheStandardLibrary(t *testing.T) {
	t.Parallel()
	type outer struct {
		node

		ID int `json:"id"`
	}
	got, err := decode[outer](`{"name":"a","id":1}`)
	require.NoError(t, err)
	require.Equal(t, "a", got.Name)
	require.Equal(t, 1, got.ID)
	_, err = decode[outer](`{"id":"1"}`)
	require.ErrorContains(t, err, "does not fit")
}

// The data of an answer that lists may be the list itself.
func TestAListStandsForTheObjectThatHoldsIt(t *testing.T) {
	t.Parallel()
	type page struct {
		List []int `json:"list"`
		N    int   `json:"n"`
	}
	check(t, cases[page]{
		`[1,2]`: {want: page{List: []int{1, 2}}}, `{"list":[1],"n":2}`: {want: page{[]int{1}, 2}}, `["x"]`: {why: "/0: not a whole number"},
	})
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	type row struct {
		S int `json:"s" wire:"absent=-1"`
		T int `json:"t" wire:"absent=-2,soft"`
	}
	check(t, cases[row]{
		`{}`: {want: row{-1, -2}}, `{"s":0,"t":0}`: {}, `{"s":null,"t":null}`: {want: row{-1, -2}}, `{"s":""}`: {want: row{-1, -2}},
		`{"t":"x"}`: {want: row{-1, -2}}, `null`: {want: row{-1, -2}}, `[]`: {want: row{-1, -2}}, `{"s":"x"}`: {why: "/s: not a whole number"},
	})
	got, err := decode[[]row](`[{"s":5,"t":5},{}]`)
	require.NoError(t, err)
	require.Equal(t, []row{{5, 5}, {-1, -2}}, got, "each entry begins anew")
}

func TestSoftAndRaw(t *testing.T) {
	t.Parallel()
	type inner struct {
		A int `json:"a"`
		B int `json:"b"`
	}
	type entry struct {
		ID  string          `json:"id"`
		N   int             `json:"n" wire:"soft"`
		At  time.Time       `json:"at" wire:"soft"`
		In  inner           `json:"in" wire:"soft"`
		Raw json.RawMessage `json:"raw" wire:"raw"`
	}
	raw := func(e entry, s string) struct {
		want entry
		why  string
	} {
		e.Raw = json.RawMessage(s)
		return struct {
			want entry
			why  string
		}{want: e}
	}
	check(t, cases[entry]{
		`{"id":1,"n":"2","x":[ ]}`:               raw(entry{ID: "1", N: 2}, `{"id":1,"n":"2","x":[ ]}`),
		`{"n":"x","at":[],"in":{"a":1,"b":"x"}}`: raw(entry{}, `{"n":"x","at":[],"in":{"a":1,"b":"x"}}`), // nothing half-read is left
		`{"in":{"a":1}}`:                         raw(entry{In: inner{A: 1}}, `{"in":{"a":1}}`),
		`{"id":{}}`:                              {why: "the entry is no object"}, `7`: {why: "the entry is no object"}, `{"n":`: {why: "ends too early"}, `{"n":x}`: {why: "not valid JSON"},
	})
}

func TestPointers(t *testing.T) {
	t.Parallel()
	check(t, cases[*int]{`7`: {want: new(7)}, `0`: {want: new(0)}, `null`: {}, `"x"`: {why: "not a whole number"}})
	v := new(1)
	require.NoError(t, wire.DecodeValue([]byte(`null`), zone, &v))
	require.Nil(t, v)
}

type shouting string

func (s *shouting) UnmarshalJSON(b []byte) error {
	*s = shouting(strings.ToUpper(string(b)))
	return nil
}

func TestTypesWithAnUnmarshalerDecodeThemselves(t *testing.T) {
	t.Parallel()
	got, err := decode[[]shouting](`["a",{"b":1},null]`)
	require.NoError(t, err)
	require.Equal(t, []shouting{`"A"`, `{"B":1}`, `NULL`}, got)
}

func TestParseTimeObeysTheZone(t *testing.T) {
	t.Parallel()
	a, ok := wire.ParseTime("2022-05-13 12:00:00", time.UTC)
	require.True(t, ok)
	b, ok := wire.ParseTime("2022-05-13 12:00:00", zone)
	require.True(t, ok)
	require.Equal(t, 8*time.Hour, a.Sub(b))
}

func TestValidNumber(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"0": true, "-1.5e+3": true, "": false, " 1": false, "1 ": false, "+1": false, "01": false, ".5": false, "1.": false, "1 2": false, "NaN": false, "true": false, `"1"`: false,
	} {
		require.Equal(t, want, wire.ValidNumber(s), s)
	}
}

// What was sent is neither lost nor made up: a null is no entry, and what stands
// twice, or in the place of the list, is an error.
func TestNothingIsLostOrInvented(t *testing.T) {
	t.Parallel()
	type row struct {
		N int `json:"n"`
	}
	check(t, cases[[]row]{
		`[null,{"n":1},null]`: {want: []row{{1}}}, `{"3":null,"5":{"n":2}}`: {want: []row{{2}}}, `[null]`: {want: []row{}},
		`[""]`: {why: "/0: text where an object belongs"}, `[[]]`: {why: "/0: a list where an object belongs"}, `[nul`: {why: "ends too early"}, `[tru`: {why: "ends too early"},
		`[{"n":1,"n":2}]`: {why: "/0/n: stands twice"}, `[{"\u006e":7}]`: {want: []row{{7}}},
	})
	check(t, cases[[]string]{`["a",null,""]`: {want: []string{"a", ""}}})
	check(t, cases[[]*int]{`[1,null]`: {want: []*int{new(1), nil}}})
	type page struct {
		List []int `json:"list"`
		N    int   `json:"n"`
	}
	check(t, cases[page]{
		`{"n":1}`: {want: page{N: 1}}, `{"items":[]}`: {}, `{"items":7}`: {}, `{"items":[7]}`: {why: "no list, but something else"}, `{"items":{"a":1}}`: {why: "no list, but something else"},
		`{"items":[7],"list":[8]}`: {want: page{List: []int{8}}}, `{"items":[7`: {why: "ends too early"},
	})
	type row2 struct {
		P *int64 `json:"p"`
		B *bool  `json:"b"`
		S int    `json:"s" wire:"absent=-1"`
	}
	check(t, cases[row2]{
		`{"p":"","b":"","s":""}`: {want: row2{S: -1}}, `{"p":"7","b":"1","s":"7"}`: {want: row2{new(int64(7)), new(true), 7}},
		`{"p":false,"b":false,"s":0}`: {want: row2{B: new(false)}}, `{"p":"x"}`: {why: "not a whole number"}, `{"s":"x"}`: {why: "/s: not a whole number"},
		`{"p":"x`: {why: "ends too early"}, `{"s":"x`: {why: "ends too early"},
	})
	check(t, cases[decimal]{strings.Repeat("1", 65): {why: "sane size"}, strings.Repeat("1", 64): {want: decimal(strings.Repeat("1", 64))}})

	_, err := decode[[]row](`{"` + strings.Repeat("0", 5000) + `":{"n":[]}}`)
	require.EqualError(t, err, "/…: a list where a number belongs")
	_, err = decode[[]row](`[` + `{"x":1},{"n":[]}]`)
	require.EqualError(t, err, "/1/n: a list where a number belongs")
}
