package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/wire"
)

var zone = time.FixedZone("UTC+8", 8*3600)

// newBody returns a Body of text that has no bound.
func newBody(t testing.TB, r io.Reader) *wire.Body {
	b := wire.NewBody(t.Context(), r, math.MaxInt64)
	t.Cleanup(b.Release)
	return b
}

// decode reads raw as a T, as data of an envelope.
func decode[T any](t testing.TB, raw string) (T, error) {
	text := `{"code":0,"data":` + raw
	if json.Valid([]byte(raw)) {
		text += "}"
	}
	var out T
	_, err := newBody(t, strings.NewReader(text)).Decode(zone, &out)
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
		got, err := decode[T](t, raw)
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

type base struct {
	ID   int64 `json:"id"`
	Name string
}

type Base struct {
	ID   int64     `json:"id"`
	At   time.Time `json:"at"`
	Same string    `json:"same"`
}

type level string

func (l *level) UnmarshalText(b []byte) error {
	if len(b) == 0 || b[0] == '!' {
		return errors.New("no level")
	}
	*l = level("<" + string(b) + ">")
	return nil
}

type pair[K comparable, V any] struct {
	Key K `json:"key"`
	Val V `json:"val"`
}

type tree struct {
	Kids  map[string]tree `json:"kids"`
	Next  **tree          `json:"next"`
	Pairs []pair[string, *tree]
	N     uint8
}

type chain []chain

// Every kind of Go type is as lenient as the API's own types, at any depth.
func TestKinds(t *testing.T) {
	t.Parallel()
	type all struct {
		I8  int8                      `json:"i8"`
		U16 uint16                    `json:"u16"`
		U64 uint64                    `json:"u64"`
		F32 float32                   `json:"f32"`
		F64 *float64                  `json:"f64"`
		Arr [2]int64                  `json:"arr"`
		M   map[string]int64          `json:"m"`
		MI  map[int8]bool             `json:"mi"`
		MU  map[uint]string           `json:"mu"`
		MT  map[level][]float64       `json:"mt"`
		MM  map[string]map[string]int `json:"mm"`
		At  map[string]time.Time      `json:"ats"`
		L   level                     `json:"l"`
		LS  []*level                  `json:"ls"`
		IP  netip.Addr                `json:"ip"`
		Num json.Number               `json:"num"`
		Big big.Int                   `json:"big"`
		Q   int                       `json:"q,string,omitempty"`
		QS  string                    `json:"qs,string"`
		PP  **int                     `json:"pp"`
		T   tree                      `json:"t"`
		C   chain                     `json:"c"`
		P   pair[uint8, []string]     `json:"p"`
		S   struct{ A, B_C int }      `json:"s"` //nolint:revive,staticcheck // names as Go allows them
		B   []byte                    `json:"b"`
		B2  [2]byte                   `json:"b2"`
	}
	got, err := decode[all](t, `{"i8":"-128","u16":"8080","u64":"18446744073709551615","f32":"1.5","f64":"1e3","arr":["1",2.0],
		"m":{"US":"12","DE":3,"X":null},"mi":{"-1":1,"127":"true"},"mu":{"7":8},"mt":{"a":["1.5",2,null]},"mm":{"a":[],"b":{"c":"1"},"d":null},
		"ats":{"a":"2022-05-13"},"l":7,"ls":["x",null,""],"ip":"::1","num":"12345678901234567890","big":"12345678901234567890123","q":"7","qs":"\"a\\n\"","pp":"3",
		"t":{"kids":{"a":{"n":"255","kids":[]}},"next":{"PAIRS":[{"key":1,"val":{"N":2}}]}},"c":[[],[[]],null],"p":{"key":"200","val":{"1":"a"}},"s":{"a":"1","bC":2},"b":"YQ==","b2":["1",2]}`)
	require.NoError(t, err)
	three := new(3)
	next := &tree{Pairs: []pair[string, *tree]{{"1", &tree{N: 2}}}}
	want := all{
		I8: -128, U16: 8080, U64: 1<<64 - 1, F32: 1.5, F64: new(1000.0), Arr: [2]int64{1, 2}, M: map[string]int64{"US": 12, "DE": 3, "X": 0},
		MI: map[int8]bool{-1: true, 127: true}, MU: map[uint]string{7: "8"}, MT: map[level][]float64{"<a>": {1.5, 2, 0}},
		MM: map[string]map[string]int{"a": {}, "b": {"c": 1}, "d": nil}, At: map[string]time.Time{"a": time.Date(2022, 5, 13, 0, 0, 0, 0, zone)},
		L: "<7>", LS: []*level{new(level("<x>")), nil, new(level(""))}, IP: netip.IPv6Loopback(), Num: "12345678901234567890", Q: 7, QS: "a\n", PP: &three,
		T: tree{Kids: map[string]tree{"a": {N: 255, Kids: map[string]tree{}}}, Next: &next}, C: chain{{}, {{}}, {}}, P: pair[uint8, []string]{200, []string{"a"}}, B: []byte("a"), B2: [2]byte{1, 2},
	}
	want.Big.SetString("12345678901234567890123", 10)
	want.S.A, want.S.B_C = 1, 2
	require.Equal(t, want, got)

	// What PHP sends for nothing.
	for _, none := range []string{`null`, `""`, `false`, `[]`} {
		text := `{"f64":` + none + `,"m":` + none + `,"arr":` + none + `,"ls":` + none + `,"pp":` + none + `,"t":` + none + `,"s":` + none + `,"p":` + none + `}`
		if none == "[]" {
			text = strings.NewReplacer(`"f64":[]`, `"f64":null`, `"pp":[]`, `"pp":null`).Replace(text)
		}
		got, err := decode[all](t, text)
		require.NoError(t, err, none)
		require.Empty(t, got.M)
		require.Nil(t, got.F64)
		require.Nil(t, got.PP)
		require.Zero(t, got.Arr)
	}

	for text, why := range map[string]string{
		`{"i8":128}`: "/data/i8: not a whole number that fits 8 bits", `{"u16":-1}`: "/data/u16: not a whole number of at least 0 that fits 16 bits", `{"u16":65536}`: "fits 16 bits", `{"u64":1.5}`: "fits 64 bits",
		`{"u64":18446744073709551616}`: "fits 64 bits", `{"f32":1e39}`: "not a number that fits float32", `{"f32":"NaN"}`: "not a number that fits", `{"f32":"0x1p4"}`: "not a number that fits", `{"f32":{}}`: "an object where a number belongs",
		`{"arr":[1,2,3]}`: "a list of 3 where 2 belong", `{"m":[1]}`: "/data/m: a list where an object belongs", `{"m":{"a":1,"a":2}}`: "/data/m/a: appears twice", `{"m":{"a":"x"}}`: "/data/m/a: not a whole number",
		`{"mi":{"128":1}}`: "not a key that fits int8", `{"mt":{"!":[]}}`: "not a key that fits wire_test.level", `{"l":"!"}`: "/data/l: does not fit wire_test.level", `{"l":[1]}`: "a list where text belongs", `{"num":"x"}`: "/data/num: not a number",
		`{"big":"x"}`: "does not fit big.Int", `{"ip":"x"}`: "does not fit netip.Addr", `{"t":{"N":256}}`: "/data/t/N: not a whole number", `{"b":"%"}`: "does not fit []uint8", `{"t":{"N":1,"n":2}}`: "/data/t/n: appears twice",
	} {
		_, err := decode[all](t, text)
		require.ErrorContains(t, err, why, text)
		var syntax *wire.SyntaxError
		require.ErrorAs(t, err, &syntax)
	}
}

// A number in an any keeps its digits.
func TestAny(t *testing.T) {
	t.Parallel()
	const text = `{"id":9007199254740993,"no":2026110112345678901234567890,"f":1.50,"l":[1,"a",null,true,{"b":[]}],"e":{},"s":"\u722c"}`
	want := map[string]any{
		"id": json.Number("9007199254740993"), "no": json.Number("2026110112345678901234567890"), "f": json.Number("1.50"),
		"l": []any{json.Number("1"), "a", nil, true, map[string]any{"b": []any{}}}, "e": map[string]any{}, "s": "爬",
	}
	one, err := decode[any](t, text)
	require.NoError(t, err)
	require.Equal(t, want, one)
	two, err := decode[map[string]any](t, text)
	require.NoError(t, err)
	require.Equal(t, want, two)
	type named any
	three, err := decode[struct{ L []named }](t, `{"l":[1,null]}`)
	require.NoError(t, err)
	require.Equal(t, []named{json.Number("1"), nil}, three.L)
	none, err := decode[any](t, `null`)
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = decode[any](t, `{"a":[{"b":1,"b":2}]}`)
	require.ErrorContains(t, err, "/data/a/0/b: appears twice")
	for _, cut := range []string{`{`, `{"a"`, `{"a":`, `[`, `[1`, `["`, `[tru`} {
		_, err = decode[any](t, cut)
		require.ErrorContains(t, err, "ends too early", cut)
	}
}

// Embedded structs are promoted as encoding/json does it, and as lenient as all.
func TestEmbeddedStructs(t *testing.T) {
	t.Parallel()
	type deep struct {
		*Base

		Extra int `json:"extra"`
	}
	type outer struct {
		base
		deep

		Same string `json:"same"` // hides Base's
	}
	got, err := decode[outer](t, `{"id":"7","at":"2022-05-13","extra":"1","same":"mine","name":"n"}`)
	require.NoError(t, err)
	require.Equal(t, outer{
		base: base{ID: 7, Name: "n"}, // less deep than Base's ID
		deep: deep{&Base{At: time.Date(2022, 5, 13, 0, 0, 0, 0, zone)}, 1},
		Same: "mine",
	}, got)
	got, err = decode[outer](t, `{"id":7}`)
	require.NoError(t, err)
	require.Nil(t, got.Base, "made though nothing of it was there")

	type tagged struct {
		Base `json:"base"`

		ID int `json:"id"`
	}
	got2, err := decode[tagged](t, `{"base":{"id":"1"},"id":2}`)
	require.NoError(t, err)
	require.Equal(t, tagged{Base{ID: 1}, 2}, got2)

	type one struct{ Name, Only string }
	type two struct{ Name string }
	type clash struct {
		one
		two
	}
	got3, err := decode[clash](t, `{"Name":"n","Only":"o"}`) // two of one depth: neither, as in encoding/json
	require.NoError(t, err)
	require.Equal(t, clash{one: one{Only: "o"}}, got3)
}

// Names in a tag are exact. Those of Go are found in any case and with underscores.
func TestNames(t *testing.T) {
	t.Parallel()
	type row struct {
		TradeNo string
		Name    string
		ID      int
		Tag     string `json:"tag"`
		Dash    string `json:"-,"` //nolint:staticcheck // a name of its own
		Not     string `json:"-"`
	}
	check(t, cases[row]{
		`{"trade_no":1,"name":"n","id":2,"tag":"t","-":"d","Not":"x"}`: {want: row{"1", "n", 2, "t", "d", ""}},
		`{"TradeNo":"1","NAME":"n","Id":2,"TAG":"no","tag_":"no"}`:     {want: row{"1", "n", 2, "", "", ""}},
		`{"name":"a","Name":"b"}`:                                      {why: "appears twice"},
		`{"tr\u0061deNo":"1"}`:                                         {want: row{TradeNo: "1"}},
	})
}

// More fields than the bits of a word are looked after too.
func TestManyFields(t *testing.T) {
	t.Parallel()
	var fields []reflect.StructField
	var text strings.Builder
	for i := range 100 {
		fields = append(fields, reflect.StructField{Name: fmt.Sprint("F", i), Type: reflect.TypeFor[int](), Tag: reflect.StructTag(fmt.Sprintf(`json:"f%d"`, i))})
		fmt.Fprintf(&text, `"f%d":%d,`, i, i)
	}
	out := reflect.New(reflect.StructOf(fields))
	_, err := newBody(t, strings.NewReader(`{"code":0,"data":{`+text.String()+`"x":1}}`)).Decode(zone, out.Interface())
	require.NoError(t, err)
	require.EqualValues(t, 99, out.Elem().Field(99).Int())
	_, err = newBody(t, strings.NewReader(`{"code":0,"data":{`+text.String()+`"f99":1}}`)).Decode(zone, out.Interface())
	require.ErrorContains(t, err, "/data/f99: appears twice")
}

type impossible struct {
	Fine int
	Next *impossible
	Deep map[string][]struct{ Call func() }
}

func TestTypesThatCannotBeDecodedAreRefused(t *testing.T) {
	t.Parallel()
	type hidden struct{ *base }
	for typ, why := range map[reflect.Type]string{
		reflect.TypeFor[impossible]():      `wire_test.impossible.Deep[][].Call: a func can't be read from JSON; leave it out with the tag json:"-"`,
		reflect.TypeFor[chan int]():        "chan int: a chan can't be read from JSON",
		reflect.TypeFor[[]complex128]():    "[]complex128[]: a complex128 can't be",
		reflect.TypeFor[io.Reader]():       "io.Reader: io.Reader is an interface with methods",
		reflect.TypeFor[map[[2]int]int]():  "[2]int can't be the key",
		reflect.TypeFor[map[float64]int](): "float64 can't be the key",
		reflect.TypeFor[hidden]():          "wire_test.hidden.base: an embedded pointer to an unexported struct",
	} {
		require.ErrorContains(t, wire.Check(typ), why)
		out := reflect.New(typ)
		_, err := newBody(t, strings.NewReader(`{"code":0,"data":null}`)).Decode(zone, out.Interface())
		require.ErrorContains(t, err, why)
	}
	type left struct {
		F func()   `json:"-"`
		c chan int //nolint:unused // it is here to be left out
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[left](), reflect.TypeFor[tree](), reflect.TypeFor[chain](), reflect.TypeFor[any](), reflect.TypeFor[kinds]()} {
		require.NoError(t, wire.Check(typ), typ)
	}
}

// For plain inputs, encoding/json is the measure.
func TestPlainInputsDecodeAsInEncodingJSON(t *testing.T) {
	t.Parallel()
	same[int64](t, `0`, `-7`, `9007199254740993`)
	same[uint32](t, `0`, `4294967295`)
	same[float32](t, `0.1`, `1e-45`, `-3.4e38`)
	same[float64](t, `0.1`, `1e308`, `-0`)
	same[string](t, `""`, `"a"`, `"\u722c\ud83d\ude00\n"`, `"\ud800"`, "\"\xff\"")
	same[bool](t, `true`, `false`)
	same[[]int](t, `[]`, `[1,2,3]`)
	same[[3]int](t, `[1]`, `[1,2,3]`)
	same[[]byte](t, `""`, `"aGVsbG8="`, `null`)
	same[map[string]int](t, `{}`, `{"a":1,"b":2}`, `null`)
	same[map[int64]string](t, `{"-1":"a"}`)
	same[*string](t, `null`, `""`, `"x"`)
	same[[]*int](t, `[null,1]`)
	same[json.RawMessage](t, `{"a" : [1, 2]}`, `null`)
	same[json.Number](t, `12.50`, `"7"`)
	same[time.Time](t, `"2022-05-13T12:14:15.5Z"`)
	same[netip.Addr](t, `"::1"`, `""`)
	same[big.Int](t, `123456789012345678901234567890`, `null`)
	same[shouting](t, `"a"`, `{"b":1}`, `null`)
	same[chain](t, `[[],[[]]]`)
	same[tree](t, `{"kids":{"a":{"kids":{"b":{}}}},"next":{"N":7},"Pairs":[{"key":"k","val":{"N":1}}]}`, `{"n":1,"unknown":{"N":[1]}}`)
	same[struct {
		*Base
		tree

		Q int `json:"q,string"`
	}](t, `{"id":1,"same":"s","q":"7","N":3}`, `{"N":3}`)
	same[node](t, `{"name":"a","kids":[{"name":"b","kids":[]}],"next":{"name":"c","kids":[]},"map":{"a":1},"f":1.5,"b":"YQ==","r":{"x":[]},"Bare":3,"Skip":"s"}`)
}

func same[T any](t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		var want T
		wantErr := json.Unmarshal([]byte(text), &want)
		got, err := decode[T](t, text)
		require.Equal(t, wantErr, err, "%T from %s", want, text)
		if at, ok := any(want).(time.Time); ok {
			require.True(t, at.Equal(any(got).(time.Time)))
			continue
		}
		a, errA := json.Marshal(want)
		b, errB := json.Marshal(got)
		require.NoError(t, errors.Join(errA, errB))
		require.JSONEq(t, string(a), string(b), "%T from %s", want, text)
	}
}

// However a response is cut into reads, it means the same, and nothing panics.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"code":0,"data":{"list":[{"n":1}]}}`, `{"list":[{}],"data":{},"code":"0"}`, "\ufeff{\"code\":200,\"data\":{\"kids\":{\"0\":{\"maps\":[{\"a\":1}]}}}}",
		`{"data":{"any":[1,{"a":null}],"soft":[1]},"code":3}`, `{"code":0,"data":[[],{}],"errors":1}`, `{"code":0,"data":{"at":{"date":"2022-05-13","timezone":"UTC"},"l":"x"}}`,
	} {
		f.Add([]byte(s))
	}
	type row struct {
		kinds

		List   []thing           `json:"list"`
		At     *time.Time        `json:"at"`
		L      level             `json:"l"`
		Arr    [2]uint8          `json:"arr"`
		Flat   []json.RawMessage `json:"flat" wire:"flat"`
		Unread map[string]string `json:"-" wire:"unread"`
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var whole, pieces row
		env, err := newBody(t, bytes.NewReader(text)).Decode(zone, &whole)
		env2, err2 := newBody(t, iotest.OneByteReader(bytes.NewReader(text))).Decode(zone, &pieces)
		require.Equal(t, env, env2)
		require.Equal(t, err, err2)
		require.Equal(t, whole, pieces)
		if err != nil {
			return
		}
		require.True(t, json.Valid(bytes.TrimPrefix(text, []byte("\ufeff"))), "encoding/json does not take it")
		if !env.OK() {
			require.Zero(t, whole)
		}
	})
}

func TestFlatLists(t *testing.T) {
	t.Parallel()
	type row struct {
		L []json.RawMessage `json:"l" wire:"flat"`
	}
	raws := func(texts ...string) row {
		r := row{L: []json.RawMessage{}}
		for _, s := range texts {
			r.L = append(r.L, json.RawMessage(s))
		}
		return r
	}
	check(t, cases[row]{
		`{"l":["a",["b",{"c":1}],null,[],[[7]],{"0":1}]}`: {want: raws(`"a"`, `"b"`, `{"c":1}`, `[7]`, `{"0":1}`)},
		`{"l":[["a"],["b"]]}`:                             {want: raws(`"a"`, `"b"`)},
		`{"l":{"1":["a"],"3":"b"}}`:                       {want: raws(`"a"`, `"b"`)},
		`{"l":[["a"]`:                                     {why: "ends too early"},
	})
}
