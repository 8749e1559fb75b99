package proxylite_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
)

// Every operation sends exactly what the document asks for, with the app_key where
// the document puts it, and takes the documented answer.
func TestEveryOperationOnTheWire(t *testing.T) {
	t.Parallel()
	var names, fixtures []string
	for _, op := range operations {
		names = append(names, op.name+".json")
	}
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	for _, f := range files {
		fixtures = append(fixtures, filepath.Base(f))
	}
	require.ElementsMatch(t, fixtures, names, "each operation has a fixture, and each fixture an operation")
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			var got *http.Request
			var body string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, body = r, bodyOf(t, r)
				if !op.empty {
					_, _ = w.Write([]byte(fixture(t, op.name+".json")))
				}
			}))
			defer server.Close()

			c, err := proxylite.NewClient(proxylite.AppKey(testKey), proxylite.WithBaseURL(server.URL))
			require.NoError(t, err)
			_, err = op.call(t.Context(), c)
			require.NoError(t, err)

			wantQuery := op.query
			if op.inBody {
				require.JSONEq(t, `{"app_key":"`+testKey+`",`+op.body[1:], body)
			} else {
				if wantQuery != "" {
					wantQuery += "&"
				}
				wantQuery += "app_key=" + testKey
				require.Equal(t, op.body, body)
			}
			require.Equal(t, op.method, got.Method)
			require.Equal(t, "/end-point"+op.path, got.URL.Path)
			require.Equal(t, wantQuery, got.URL.RawQuery)
			require.Empty(t, got.Header.Get("Authorization"))
		})
	}
}
