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

// pages is an API with total orders on pages of size, or what tamper makes of it.
func pages(total, size int, tamper func(page int, body string) string) *apitest.Script {
	s := apitest.Playing()
	for page := 1; page <= 60; page++ {
		var items []string
		for id := (page-1)*size + 1; id <= min(page*size, total); id++ {
			items = append(items, `{"id":`+strconv.Itoa(id)+`}`)
		}
		body := fmt.Sprintf(`{"code":0,"data":{"list":[%s],"pagination":{"total":%d,"page_no":%d,"page_size":%d,"total_pages":%d}}}`,
			strings.Join(items, ","), total, page, size, (total+size-1)/size)
		if tamper != nil {
			body = tamper(page, body)
		}
		s.Steps = append(s.Steps, apitest.Reply(200, body))
	}
	return s
}

func walked(t *testing.T, s *apitest.Script, page int) (ids []int64, err error) {
	t.Helper()
	for order, e := range s.Client(t, apitest.TryOnce).Orders.All(t.Context(), proxylite.OrderListParams{PageParams: proxylite.PageParams{Page: page, Size: 2}}) {
		if e != nil {
			require.Zero(t, order)
			require.NoError(t, err, "one error at most")
			err = e
			continue
		}
		require.NoError(t, err, "nothing follows an error")
		ids = append(ids, order.ID)
	}
	return ids, err
}

// A walk ends on any answer, and gives each entry once.
func TestAllWalksThePages(t *testing.T) {
	t.Parallel()
	replace := func(pairs ...string) func(int, string) string {
		return func(_ int, body string) string { return strings.NewReplacer(pairs...).Replace(body) }
	}
	onPage := func(n int, change func(string) string) func(int, string) string {
		return func(page int, body string) string {
			if page == n {
				return change(body)
			}
			return body
		}
	}
	const empty = `{"code":0,"data":{"list":[],"pagination":{"total":5,"page_size":2}}}`
	for name, tt := range map[string]struct {
		total    int
		tamper   func(int, string) string
		want     []int64
		requests int
	}{
		"whole":                 {5, nil, []int64{1, 2, 3, 4, 5}, 3},
		"even":                  {4, nil, []int64{1, 2, 3, 4}, 2},
		"nothing":               {0, nil, nil, 1},
		"no count of pages":     {6, replace(`"total_pages":3`, `"total_pages":0`), []int64{1, 2, 3, 4, 5, 6}, 3},
		"totals of 0":           {5, replace(`"total":5`, `"total":0`, `"total_pages":3`, `"total_pages":0`), []int64{1, 2, 3, 4, 5}, 4},
		"no counts":             {3, replace(`"pagination"`, `"x"`), []int64{1, 2, 3}, 3},
		"totals too low":        {5, replace(`"total":5`, `"total":1`, `"total_pages":3`, `"total_pages":1`), []int64{1, 2, 3, 4, 5}, 4},
		"totals too high":       {3, replace(`"total":3`, `"total":99`, `"total_pages":2`, `"total_pages":50`), []int64{1, 2, 3}, 50},
		"the same page forever": {5, func(int, string) string { return `{"code":0,"data":{"list":[{"id":1},{"id":2}]}}` }, []int64{1, 2}, 2},
		"an empty page within":  {5, onPage(2, func(string) string { return empty }), []int64{1, 2, 5}, 4},
		"an order added meanwhile": {5, onPage(2, func(string) string {
			return `{"code":0,"data":{"list":[{"id":2},{"id":3},{"id":4}]}}`
		}), []int64{1, 2, 3, 4, 5}, 3},
	} {
		s := pages(tt.total, 2, tt.tamper)
		ids, err := walked(t, s, 0)
		require.NoError(t, err, name)
		require.Equal(t, tt.want, ids, name)
		require.Len(t, s.Times, tt.requests, name)
	}
	s := pages(9, 2, nil)
	s.Steps = s.Steps[3:] // the script starts at page 4
	ids, err := walked(t, s, 4)
	require.NoError(t, err)
	require.Equal(t, []int64{7, 8, 9}, ids)
}

// Invariant 8. Iterators are lazy, can be ranged twice, stop when told, and yield
// one error.
func TestAllIsLazy(t *testing.T) {
	t.Parallel()
	s := pages(5, 2, nil)
	var asked []string
	c := s.Client(t, proxylite.WithMiddleware(apitest.RecordQueries(&asked)))
	orders := c.Orders.All(t.Context(), proxylite.OrderListParams{Status: new(proxylite.OrderPaid), PageParams: proxylite.PageParams{Size: 2}})
	require.Empty(t, asked, "nothing is asked before it is ranged over")
	for range orders {
		break
	}
	require.Equal(t, []string{"page_no=1&page_size=2&status=1"}, asked)

	for range 2 {
		s.Times, asked = nil, nil
		n := 0
		for _, err := range orders {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 5, n)
		require.Equal(t, []string{"page_no=1&page_size=2&status=1", "page_no=2&page_size=2&status=1", "page_no=3&page_size=2&status=1"}, asked)
	}

	s = pages(5, 2, func(page int, body string) string {
		if page == 2 {
			return `{"code":9}`
		}
		return body
	})
	ids, err := walked(t, s, 0)
	require.Equal(t, []int64{1, 2}, ids)
	require.Equal(t, 9, apitest.AsError(t, err).Code)
	require.Len(t, s.Times, 2)
}

// The other two lists walk the same way, with their own parameters.
func TestAllOfProductsAndStaticIPs(t *testing.T) {
	t.Parallel()
	var asked []string
	s := apitest.Playing(
		apitest.Reply(200, `{"code":0,"data":{"list":[{"id":1,"trade_no":"a"},{"id":1,"trade_no":"b"}],"page":1,"page_size":2,"total_count":3,"total_page":2}}`),
		apitest.Reply(200, `{"code":0,"data":{"list":[{"id":2}],"page":2,"page_size":2,"total_count":3,"total_page":2}}`),
	)
	c := s.Client(t, proxylite.WithMiddleware(apitest.RecordQueries(&asked)))
	var got []string
	for p, err := range c.Products.All(t.Context(), proxylite.ProductListParams{ProductType: 9}) {
		require.NoError(t, err)
		got = append(got, fmt.Sprint(p.ID, p.TradeNo))
	}
	s.Times = nil
	for ip, err := range c.IP.AllStatic(t.Context(), proxylite.IPListStaticParams{CountryCode: "DE"}) {
		require.NoError(t, err)
		got = append(got, ip.ID)
	}
	require.Equal(t, []string{"1a", "1b", "2", "1", "1", "2"}, got)
	require.Equal(t, []string{"page=1&product_type=9", "page=2&product_type=9", "country_code=DE&page=1", "country_code=DE&page=2"}, asked)

	_, err := first(apitest.Playing(apitest.Reply(200, `{"code":3}`)).Client(t).IP.AllStatic(t.Context(), proxylite.IPListStaticParams{}))
	require.ErrorIs(t, err, proxylite.ErrInvalidAppKey)
	_, err = first(apitest.Playing(apitest.Reply(200, `{"code":3}`)).Client(t).Products.All(t.Context(), proxylite.ProductListParams{}))
	require.ErrorIs(t, err, proxylite.ErrInvalidAppKey)
}

func first[T any](seq iter.Seq2[T, error]) (v T, err error) {
	for v, err = range seq {
		break
	}
	return v, err
}

// Counts without a list are not an empty list.
func TestAPageThatCountsEntriesHasAList(t *testing.T) {
	t.Parallel()
	for data, ok := range map[string]bool{
		`{"total_count":41,"page":1}`: false, `{"pagination":{"total":1}}`: false,
		`{"total_count":0,"page":1}`: true, `{"pagination":{"total":0}}`: true, `{"total_count":41,"list":null}`: true,
		`{"total_count":41,"list":[]}`: true, `{"total_count":-1}`: true,
	} {
		c, _ := apitest.Mocked(t, 200, `{"code":0,"data":`+data+`}`, apitest.TryOnce)
		page, err := c.Orders.List(t.Context(), proxylite.OrderListParams{})
		if ok {
			require.NoError(t, err, data)
			require.NotNil(t, page.Items, data)
			continue
		}
		require.ErrorIs(t, err, proxylite.ErrMalformedResponse, data)
		require.ErrorContains(t, err, "no list", data)
		require.Zero(t, page)
	}
}

// A server that sends both forms of counts has not twice as many entries.
func TestBothFormsOfCountsAreOne(t *testing.T) {
	t.Parallel()
	c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[{"id":1}],"page":1,"page_size":20,"total_count":41,"total_page":3,
		"pagination":{"total":41,"page_no":1,"page_size":20,"total_pages":3}}}`)
	p, err := c.Orders.List(t.Context(), proxylite.OrderListParams{})
	require.NoError(t, err)
	require.Equal(t, []int{1, 20, 41, 3}, []int{p.Page, p.Size, p.Total, p.Pages})
}

// Rows are told apart by an id alone. What has none is never taken for another.
func TestRowsWithoutAnIDAllCome(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]func(int) string{
		"ids":                   func(i int) string { return fmt.Sprintf(`{"id":%d,"trade_no":"t%d"}`, i+1, i) },
		"numbers only":          func(i int) string { return fmt.Sprintf(`{"trade_no":"t%d"}`, i) },
		"one number for all":    func(i int) string { return fmt.Sprintf(`{"trade_no":"t","created_at":"2026-11-%02d"}`, i+1) },
		"neither":               func(i int) string { return fmt.Sprintf(`{"product_type":9,"created_at":"2026-11-%02d"}`, i+1) },
		"null":                  func(i int) string { return fmt.Sprintf(`{"id":null,"trade_no":null,"product_type":%d}`, i) },
		"zero":                  func(int) string { return `{"id":0,"trade_no":"t"}` },
		"every row is the same": func(int) string { return `{"status":1}` },
		"some with":             func(i int) string { return []string{`{"status":1}`, fmt.Sprintf(`{"id":%d}`, i+1)}[i%2] },
	} {
		for walk, all := range walks {
			c, err := proxylite.NewClient(proxylite.AppKey(apitest.Key), apitest.TryOnce, proxylite.WithTransport(apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
				q := r.URL.Query()
				page, err := strconv.Atoi(q.Get("page") + q.Get("page_no"))
				require.NoError(t, err)
				var rows []string
				for i := 2 * (page - 1); i < min(2*page, 19); i++ {
					rows = append(rows, row(i))
				}
				return httpmock.NewStringResponse(200, fmt.Sprintf(
					`{"code":0,"data":{"list":[%s],"page":%d,"page_size":2,"total_count":19,"total_page":10}}`, strings.Join(rows, ","), page)), nil
			})))
			require.NoError(t, err)
			n := 0
			for _, err := range all(t.Context(), c, proxylite.PageParams{Size: 2}) {
				require.NoError(t, err, "%s %s", walk, name)
				n++
			}
			require.Equal(t, 19, n, "%s %s", walk, name)
		}
	}
	// A server that ignores the number of the page still comes to an end.
	for walk, all := range walks {
		c, mock := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[{"status":1},{"status":2}]}}`)
		var last error
		for _, err := range all(t.Context(), c, proxylite.PageParams{}) {
			last = err
		}
		require.ErrorContains(t, last, "the same pages again and again", walk)
		require.Equal(t, 4, mock.GetTotalCallCount())
	}
}

// An API that filters after it has cut pages leaves gaps. As many empty pages are
// passed as an empty page itself counts.
func TestGapsAreCrossedAsFarAsTheyAreCounted(t *testing.T) {
	t.Parallel()
	for _, gap := range []int{1, 3, 4, 10, 500} {
		for walk, all := range walks {
			asked := 0
			c := liar(func(page int) ([]int, int, int) {
				if page == 1 || page == gap+2 {
					return []int{page}, 2 * (gap + 2), gap + 2
				}
				return nil, 2 * (gap + 2), gap + 2
			}).client(t, &asked)
			var got []string
			for id, err := range all(t.Context(), c, proxylite.PageParams{}) {
				require.NoError(t, err, walk)
				got = append(got, id)
			}
			require.Equal(t, []string{"1", strconv.Itoa(gap + 2)}, got, "%s %d", walk, gap)
		}
	}
	c, mock := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[{"id":1}]}}`)
	for _, err := range walks["Orders.All"](t.Context(), c, proxylite.PageParams{Page: math.MaxInt}) {
		require.NoError(t, err)
		break
	}
	require.Equal(t, 1, mock.GetTotalCallCount())
}

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
		"absurd counts":                {serve: func(p int) ([]int, int, int) { return pageOf(p, 5), math.MaxInt, 0 }, want: "1 2 3 4 5", requests: 1003, err: "1000 pages in a row are empty"},
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
