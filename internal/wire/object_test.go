package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
			want: node{Any: map[string]any{"a": []any{json.Number("1")}}, Map: map[string]int{"a": 1}, F: 1.5, B: []byte("a"), R: json.RawMessage(`{"a" : 1}`)},
		},
		`{"r":null}`: {want: node{R: json.RawMessage(`null`)}},
		`null`:       {}, `[]`: {}, `[ ]`: {}, `""`: {}, `false`: {}, `{}`: {},
		`[1]`: {why: "a list where an object belongs"}, `7`: {why: "a number where an object belongs"}, `"x"`: {why: "text where an object belongs"},
		`{"name":{}}`: {why: "/name: an object where text belongs"}, `{"next":{"kids":[{"Bare":"x"}]}}`: {why: "/next/kids/0/Bare: not a whole number"},
		`{"map":7}`: {why: "/map: a number where an object belongs"}, `{"f":"x"}`: {why: "/f: not a number that fits float64"}, `{"b":"%"}`: {why: "/b: does not fit []uint8"},
		`{"name"`: {why: "ends too early"}, `{"name":"a"`: {why: "ends too early"}, `{"name" 1}`: {why: "not valid JSON"}, `{"x":`: {why: "ends too early"},
		`{"r":`: {why: "ends too early"}, `{"any":`: {why: "ends too early"}, `[1`: {why: "ends too early"}, `{x}`: {why: "not valid JSON"},
	})
	require.Empty(t, node{}.hid)
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
	got, err := decode[[]row](t, `[{"s":5,"t":5},{}]`)
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
		`[{"n":1,"n":2}]`: {why: "/0/n: appears twice"}, `[{"\u006e":7}]`: {want: []row{{7}}},
	})
	check(t, cases[[]string]{`["a",null,""]`: {want: []string{"a", ""}}})
	check(t, cases[[]*int]{`[1,null]`: {want: []*int{new(1), nil}}})
	type page struct {
		List []int `json:"list"`
		N    int   `json:"n"`
	}
	check(t, cases[page]{
		`{"n":1}`: {why: "has no list, but other fields"}, `{"items":7}`: {why: "no list, but other fields"}, `{"items":[]}`: {}, `{"n":0}`: {}, `{"n":1,"list":null}`: {want: page{List: []int{}, N: 1}}, `{"items":[7]}`: {why: "no list, but other fields"}, `{"items":{"a":1}}`: {why: "no list, but other fields"},
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
	check(t, cases[decimal]{strings.Repeat("1", 65): {why: "reasonable size"}, strings.Repeat("1", 64): {want: decimal(strings.Repeat("1", 64))}})

	_, err := decode[[]row](t, `{"`+strings.Repeat("0", 5000)+`":{"n":[]}}`)
	require.EqualError(t, err, "/data/…: a list where a number belongs")
	_, err = decode[[]row](t, `[`+`{"x":1},{"n":[]}]`)
	require.EqualError(t, err, "/data/1/n: a list where a number belongs")
}
