package wire_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/wire"
)

// decimal is a decimal that reads itself.
type decimal string

func (d *decimal) UnmarshalJSON(b []byte) error {
	text, err := wire.Number(b)
	*d = decimal(text)
	return err
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
		`1e100`: {why: "reasonable size"}, `"1e-1000000"`: {why: "reasonable size"}, `"1/3"`: {why: "not a number"}, `"0x1"`: {why: "not a number"},
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

type shouting string

func (s *shouting) UnmarshalJSON(b []byte) error {
	*s = shouting(strings.ToUpper(string(b)))
	return nil
}

func TestTypesWithAnUnmarshalerDecodeThemselves(t *testing.T) {
	t.Parallel()
	got, err := decode[[]shouting](t, `["a",{"b":1},null]`)
	require.NoError(t, err)
	require.Equal(t, []shouting{`"A"`, `{"B":1}`, `NULL`}, got)
}

func TestValidNumber(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"0": true, "-1.5e+3": true, "": false, " 1": false, "1 ": false, "+1": false, "01": false, ".5": false, "1.": false, "1 2": false, "NaN": false, "true": false, `"1"`: false,
	} {
		require.Equal(t, want, wire.ValidNumber(s), s)
	}
}

// strict takes a bare number only, and text takes a JSON text only.
type strict int

func (n *strict) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, (*int)(n)) }

type textOnly struct{ s string }

func (x *textOnly) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &x.s) }

func TestUnmarshalersGetNumbersWithQuotesAndWithout(t *testing.T) {
	t.Parallel()
	check(t, cases[strict]{
		`7`: {want: 7}, `"7"`: {want: 7}, `" 7 "`: {want: 7}, `""`: {}, `null`: {},
		`"x"`: {why: "does not fit wire_test.strict"}, `"\u0037"`: {want: 7}, `[]`: {why: "does not fit wire_test.strict"}, `7.5`: {why: "does not fit"},
	})
	check(t, cases[textOnly]{
		`"a"`: {want: textOnly{"a"}}, `7.50`: {want: textOnly{"7.50"}}, `""`: {}, `true`: {why: "does not fit wire_test.textOnly"},
	})
	check(t, cases[map[string][]*strict]{`{"a":["7",null,1]}`: {want: map[string][]*strict{"a": {new(strict(7)), nil, new(strict(1))}}}})
}
