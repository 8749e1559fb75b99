package wire_test

import (
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
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
