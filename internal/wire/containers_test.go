package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLists(t *testing.T) {
	t.Parallel()
	check(t, cases[[]int]{
		`[1,"2",null]`: {want: []int{1, 2, 0}}, `[]`: {want: []int{}}, `{}`: {want: []int{}}, `null`: {want: []int{}}, `""`: {want: []int{}}, `false`: {want: []int{}},
		`{"0":7,"2":8}`: {want: []int{7, 8}}, // a list with gaps, as PHP writes it
		`{"a":7}`:       {why: "an object where a list belongs"}, `{"0":1,"a":2}`: {why: "an object where a list belongs"},
		`7`: {why: "a number where a list belongs"}, `"x"`: {why: "text where a list belongs"}, `true`: {why: "a boolean where a list belongs"},
		`[1,"x"]`: {why: "/1: not a whole number"}, `[1`: {why: "ends too early"}, `[1}`: {why: "not valid JSON"}, `{"0":1`: {why: "ends too early"}, `{1:1}`: {why: "not valid JSON"},
	})
	long, err := decode[[]int](t, "["+strings.Repeat("1,", 999)+"1]")
	require.NoError(t, err)
	require.Len(t, long, 1000)
	require.NotContains(t, long, 0)
}

func TestPointers(t *testing.T) {
	t.Parallel()
	check(t, cases[*int]{`7`: {want: new(7)}, `0`: {want: new(0)}, `null`: {}, `"x"`: {why: "not a whole number"}})
}

// Long lists are collected in pieces: around the ends of pieces no entry may be
// lost, doubled or out of order, also when nulls and nested lists stand between.
func TestLongListsKeepEveryEntryInOrder(t *testing.T) {
	t.Parallel()
	type row struct {
		N    int      `json:"n"`
		Name string   `json:"name"`
		Of   []string `json:"of"`
	}
	for _, n := range []int{0, 1, 255, 256, 257, 319, 320, 321, 400, 5000} {
		var body strings.Builder
		body.WriteString(`{"code":0,"data":[`)
		want := make([]row, n)
		for i := range n {
			want[i] = row{i, fmt.Sprint("r", i), []string{fmt.Sprint(i)}}
			order := `{"n":%d,"name":"r%d","of":["%d"]}`
			if i%3 == 0 { // and the names in another order
				order = `null,{"of":["%[3]d"],"x":[],"n":%[1]d,"name":"r%[2]d"}`
			}
			if i > 0 {
				body.WriteByte(',')
			}
			fmt.Fprintf(&body, order, i, i, i)
		}
		body.WriteString(`]}`)
		var got []row
		_, err := newBody(t, strings.NewReader(body.String())).Decode(zone, &got)
		require.NoError(t, err, n)
		require.Equal(t, want, got, n)
	}
}
