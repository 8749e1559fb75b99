package reseller_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/reseller"
)

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := reseller.New(nil)
	require.Error(t, err)
	client := empty(t).Client()
	for _, opt := range []reseller.Option{
		reseller.WithChunk(0), reseller.WithChunk(4001), reseller.WithConcurrency(0), reseller.WithPace(-1), reseller.WithPace(1e9),
		reseller.WithSettle(-1), reseller.WithPoll(0),
	} {
		_, err := reseller.New(client, opt)
		require.ErrorContains(t, err, "reseller: a ")
	}
}

// Calls begin at the pace, however quick the responses are, and no more than the
// concurrency are under way, however slow they are.
func TestPaceAndConcurrency(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pace  float64
		takes time.Duration // a response
		total time.Duration // of a list and 99 usages
	}{
		{20, 0, 99 * time.Second / 20},
		{0, time.Second, 26 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				time.Sleep(test.takes)
				rows := "["
				for i := range 99 {
					rows += fmt.Sprintf(`{"id":%d,"username":"pl-c%d"},`, i, i)
				}
				body := `{"code":200,"data":` + strings.TrimSuffix(rows, ",") + `]}`
				if r.URL.Query().Has("username") {
					body = `{"code":200,"data":[]}`
				}
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
			})
			client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), proxylite.WithTransport(transport))
			require.NoError(t, err)
			m, err := reseller.New(client, reseller.WithPace(test.pace), reseller.WithConcurrency(4))
			require.NoError(t, err)
			start := time.Now()
			usage, err := m.Usage(t.Context(), reseller.UsageParams{})
			require.NoError(t, err)
			require.Len(t, usage, 99)
			require.Equal(t, test.total, time.Since(start))
		})
	}
}
