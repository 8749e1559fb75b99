package proxylite_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// Every operation sends exactly what the document asks for, with the app_key where
// the document puts it, and takes the documented answer.
func TestEveryOperationOnTheWire(t *testing.T) {
	t.Parallel()
	var names, fixtures []string
	for _, op := range apitest.Operations {
		names = append(names, op.Name+".json")
	}
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	for _, f := range files {
		fixtures = append(fixtures, filepath.Base(f))
	}
	require.ElementsMatch(t, fixtures, names, "each operation has a fixture, and each fixture an operation")
	for _, op := range apitest.Operations {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			var got *http.Request
			var body string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, body = r, apitest.BodyOf(t, r)
				if !op.MayBeEmpty {
					_, _ = w.Write([]byte(apitest.Fixture(t, op.Name+".json")))
				}
			}))
			defer server.Close()

			c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithBaseURL(server.URL))
			require.NoError(t, err)
			_, err = op.Call(t.Context(), c)
			require.NoError(t, err)

			wantQuery := op.Query
			if op.KeyInBody {
				require.JSONEq(t, `{"app_key":"`+apitest.Key+`",`+op.Body[1:], body)
			} else {
				if wantQuery != "" {
					wantQuery += "&"
				}
				wantQuery += "app_key=" + apitest.Key
				require.Equal(t, op.Body, body)
			}
			require.Equal(t, op.Method, got.Method)
			require.Equal(t, "/end-point"+op.Path, got.URL.Path)
			require.Equal(t, wantQuery, got.URL.RawQuery)
			require.Empty(t, got.Header.Get("Authorization"))
		})
	}
}
