package proxylite_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// walks are the three lists that have pages, as walks over the ids of their entries.
var walks = map[string]func(context.Context, *proxylite.Client, proxylite.PageParams) iter.Seq2[string, error]{
	"Orders.All": func(ctx context.Context, c *proxylite.Client, p proxylite.PageParams) iter.Seq2[string, error] {
		return mapped(c.Orders.All(ctx, proxylite.OrderListParams{PageParams: p}), func(o proxylite.Order) string { return strconv.FormatInt(o.ID, 10) })
	},
	"Products.All": func(ctx context.Context, c *proxylite.Client, p proxylite.PageParams) iter.Seq2[string, error] {
		return mapped(c.Products.All(ctx, proxylite.ProductListParams{PageParams: p}), func(p proxylite.PurchasedProduct) string { return strconv.FormatInt(p.ID, 10) })
	},
	"IP.AllStatic": func(ctx context.Context, c *proxylite.Client, p proxylite.PageParams) iter.Seq2[string, error] {
		return mapped(c.IP.AllStatic(ctx, proxylite.IPListStaticParams{PageParams: p}), func(ip proxylite.StaticIP) string { return ip.ID })
	},
}

func mapped[T any](seq iter.Seq2[T, error], id func(T) string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for v, err := range seq {
			shown := ""
			if err == nil {
				shown = id(v)
			}
			if !yield(shown, err) {
				return
			}
		}
	}
}

// liar is a server of pages of two that may say anything of them. Counts are
// total and pages.
type liar func(page int) (ids []int, total, pages int)

func (l liar) client(t *testing.T, asked *int) *proxylite.Client {
	c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), apitest.TryOnce, proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
		*asked++
		q := r.URL.Query()
		page, err := strconv.Atoi(q.Get("page") + q.Get("page_no"))
		require.NoError(t, err)
		ids, total, pages := l(page)
		entries := make([]string, len(ids))
		for i, id := range ids {
			if entries[i] = fmt.Sprintf(`{"id":%d}`, id); id < 0 { // an answer that is refused
				return httpmock.NewStringResponse(200, `{"code":9,"msg":"no"}`), nil
			}
		}
		return httpmock.NewStringResponse(200, fmt.Sprintf(
			`{"code":0,"data":{"list":[%s],"page":%d,"page_size":2,"total_count":%d,"total_page":%d}}`,
			strings.Join(entries, ","), page, total, pages)), nil
	})))
	require.NoError(t, err)
	return c
}

// pageOf is a page of a list of total entries.
func pageOf(page, total int) []int {
	var ids []int
	for id := 2*page - 1; id <= min(2*page, total); id++ {
		ids = append(ids, id)
	}
	return ids
}

// Every walk ends for every server, gives what is there, and asks for no more
// than it says here.
func TestWalksEndForEveryLyingServer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		serve    liar
		want     string
		requests int
		err      string
	}{
		"honest":                       {serve: func(p int) ([]int, int, int) { return pageOf(p, 5), 5, 3 }, want: "1 2 3 4 5", requests: 3},
		"totals of 0":                  {serve: func(p int) ([]int, int, int) { return pageOf(p, 5), 0, 0 }, want: "1 2 3 4 5", requests: 4},
		"growing totals":               {serve: func(p int) ([]int, int, int) { return pageOf(p, 5), 2*p + 10, p + 5 }, want: "1 2 3 4 5", requests: 9},
		"totals that grow, and a list": {serve: func(p int) ([]int, int, int) { return pageOf(p, 9), 2*p + 2, p + 1 }, want: "1 2 3 4 5 6 7 8 9", requests: 7},
		"shrinking totals":             {serve: func(p int) ([]int, int, int) { return pageOf(p, 5), 6 - 2*p, 3 - p }, want: "1 2 3 4 5", requests: 4},
		"negative counts":              {serve: func(p int) ([]int, int, int) { return pageOf(p, 5), -1, -7 }, want: "1 2 3 4 5", requests: 4},
		"absurd counts":                {serve: func(p int) ([]int, int, int) { return pageOf(p, 5), math.MaxInt, 0 }, want: "1 2 3 4 5", requests: 4},
		"absurd pages":                 {serve: func(p int) ([]int, int, int) { return pageOf(p, 5), 0, math.MaxInt }, want: "1 2 3 4 5", requests: 1003, err: "1000 pages in a row are empty"},
		"empty with a total":           {serve: func(int) ([]int, int, int) { return nil, 99, 50 }, want: "", requests: 50},
		"page number ignored":          {serve: func(int) ([]int, int, int) { return []int{1, 2}, 0, 0 }, want: "1 2", requests: 2},
		"page number ignored, 50":      {serve: func(int) ([]int, int, int) { return []int{1, 2}, 99, 50 }, want: "1 2", requests: 5},
		"last page again":              {serve: func(p int) ([]int, int, int) { return pageOf(min(p, 3), 5), 99, 50 }, want: "1 2 3 4 5", requests: 7},
		"as many added as a page has": {serve: func(p int) ([]int, int, int) { // page 2 shows what page 1 was
			if p > 1 {
				p--
			}
			return pageOf(p, 7), 9, 5
		}, want: "1 2 3 4 5 6 7", requests: 6},
		"empty pages within": {serve: func(p int) ([]int, int, int) {
			if p == 2 || p == 3 {
				return nil, 9, 5
			}
			return pageOf(p, 9), 9, 5
		}, want: "1 2 7 8 9", requests: 6},
		"an empty page that says so": {serve: func(p int) ([]int, int, int) {
			if p == 2 {
				return nil, 0, 0
			}
			return pageOf(p, 9), 9, 5
		}, want: "1 2", requests: 2},
		"larger than asked": {serve: func(p int) ([]int, int, int) {
			if p > 2 {
				return nil, 8, 4
			}
			return []int{4*p - 3, 4*p - 2, 4*p - 1, 4 * p}, 8, 4
		}, want: "1 2 3 4 5 6 7 8", requests: 4},
		"all at once": {serve: func(int) ([]int, int, int) { return []int{1, 2, 3, 4, 5}, 5, 3 }, want: "1 2 3 4 5", requests: 3},
		"one entry a request is added in front": {serve: func(p int) ([]int, int, int) {
			return []int{p, p + 1}[:min(2, 7-p)], 6 + p, 4 + p/2
		}, want: "1 2 3 4 5 6", requests: 7},
		"pages by turns": {serve: func(p int) ([]int, int, int) { return pageOf(1+p%2, 4), 0, 0 }, want: "3 4 1 2 3 4 1 2 3 4 1 2 3 4 1 2 3 4", requests: 9, err: "the same pages again and again"},
		"pages by turns, empty between": {serve: func(p int) ([]int, int, int) {
			return [][]int{{1, 2}, nil, {3, 4}}[p%3], 99, 50
		}, requests: 14, err: "the same pages again and again"},
		"round of 7":           {serve: func(p int) ([]int, int, int) { return pageOf(1+p%7, 14), 0, 0 }, requests: 31, err: "the same pages again and again"},
		"always something new": {serve: func(p int) ([]int, int, int) { return []int{2 * p, 2*p + 1}, 0, 0 }, requests: 10_000, err: "stopped after 10000 pages"},
		"refusal in the middle": {serve: func(p int) ([]int, int, int) {
			if p == 3 {
				return []int{-1}, 0, 0
			}
			return pageOf(p, 9), 9, 5
		}, want: "1 2 3 4", requests: 3, err: "code 9"},
	} {
		for walk, all := range walks {
			t.Run(walk+"/"+name, func(t *testing.T) {
				t.Parallel()
				asked := 0
				seq := all(t.Context(), tt.serve.client(t, &asked), proxylite.PageParams{Size: 2})
				for range 2 { // a walk can be ranged again
					asked = 0
					var got []string
					var failed error
					for id, err := range seq {
						require.NoError(t, failed, "something follows an error")
						if failed = err; err != nil {
							e := apitest.AsError(t, err)
							require.NotEqual(t, proxylite.OutcomeUnknown, e.Outcome)
							require.Equal(t, e.Code == 0, e.Kind == proxylite.KindMalformed)
						} else {
							got = append(got, id)
						}
					}
					if tt.err == "" {
						require.NoError(t, failed)
					} else {
						require.ErrorContains(t, failed, tt.err)
					}
					if tt.want != "" || tt.err == "" {
						require.Equal(t, tt.want, strings.Join(got, " "))
					}
					require.Equal(t, tt.requests, asked, "requests")
					if tt.requests == 10_000 {
						break // once is slow enough
					}
				}

				asked = 0
				for range seq {
					break
				}
				if tt.want != "" {
					require.Equal(t, 1, asked, "a walk that was left asked again")
				}
			})
		}
	}
}

// A walk holds one page: the memory of a list of 12 MB stays flat.
func TestAWalkHoldsOnePage(t *testing.T) { //nolint:paralleltest // it measures the heap of the process
	const pages, entries = 24, 8
	filler := strings.Repeat("x", 64<<10)
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	for name, all := range walks {
		page := 0
		c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), proxylite.WithTransport(apitest.RoundTripper(func(*http.Request) (*http.Response, error) {
			var list []string
			for i := range entries {
				if page < pages {
					list = append(list, fmt.Sprintf(`{"id":%d,"trade_no":"%d%s"}`, page*entries+i+1, i, filler))
				}
			}
			page++
			return httpmock.NewStringResponse(200, `{"code":0,"data":{"list":[`+strings.Join(list, ",")+`]}}`), nil
		})))
		require.NoError(t, err)
		before, most, n := heap(), 0, 0
		for _, err := range all(t.Context(), c, proxylite.PageParams{}) {
			require.NoError(t, err)
			if n++; n%(4*entries) == 1 {
				most = max(most, heap()-before)
			}
		}
		require.Equal(t, pages*entries, n, name)
		require.Less(t, most, 5<<20, name)
	}
}
