package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go/internal/wire"
)

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
		_, err := wire.Decode(strings.NewReader(body.String()), zone, &got)
		require.NoError(t, err, n)
		require.Equal(t, want, got, n)
	}
}
