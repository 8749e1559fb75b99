// Package bench measures this SDK beside what its users would take instead: the
// same work, in one process and one run, as ratios to a hand-written client.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/bench/oapi"
)

// Key is the app_key of all contestants.
const Key = "0123456789abcdef0123456789abcdef"

// Client does the work. The results are counts, so that all have the same type.
type Client interface {
	Accounts(context.Context) (int, error)
	Cities(context.Context) (int, error)
	Walk(context.Context) (int, error) // all orders, page by page
}

// Contestants are the clients to compare, the floor first.
var Contestants = []struct {
	Name string
	// New makes a client of its own; nil rt is the transport it would have, tuned.
	New func(base string, rt http.RoundTripper) Client
}{
	{"floor", NewFloor},
	{"floor-text", newTextFloor},
	{"retryablehttp", newRetryable},
	{"resty", newResty},
	{"oapi-codegen", newOapi},
	{"proxylite", newSDK},
}

// Backoff and Attempts are the same for all, or the waits would be compared. With
// fewer attempts, one call in a million would fail for good.
const (
	Backoff  = time.Millisecond
	Attempts = 5
)

// tuned is what a careful author gives a client that is called concurrently.
func tuned(rt http.RoundTripper) http.RoundTripper {
	if rt != nil {
		return rt
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 128
	return t
}

// stamp is the API's time, which time.Time can't read.
type stamp struct{ time.Time }

var zone = time.FixedZone("UTC+8", 8*60*60)

// UnmarshalJSON reads the form without zone.
func (s *stamp) UnmarshalJSON(b []byte) (err error) {
	if len(b) < 2 || b[0] != '"' {
		return errors.New("not a time")
	}
	s.Time, err = time.ParseInLocation(time.DateTime, string(b[1:len(b)-1]), zone)
	return err
}

// account is [proxylite.Account] for encoding/json; T is the type of its time.
type account[T any] struct {
	ID          int64  `json:"id"`
	Username    string `json:"username"`
	Password    string `json:"password"`
	CreatedAt   T      `json:"created_at"`
	Remark      string `json:"remark"`
	ProductType int    `json:"product_type"`
	Used        int64  `json:"usage_flow"`
	Limit       *int64 `json:"limit_flow"`
	Status      int    `json:"status"`
}

type order struct {
	ID          int64       `json:"id"`
	TradeNo     string      `json:"trade_no"`
	ProductID   int64       `json:"product_id"`
	ProductName string      `json:"product_name"`
	TotalFee    json.Number `json:"total_fee"`
	PayFee      json.Number `json:"pay_fee"`
	Status      int         `json:"status"`
	CreatedAt   stamp       `json:"created_at"`
}

type envelope[T any] struct {
	Code    *int   `json:"code"`
	Msg     string `json:"msg"`
	Message string `json:"message"`
	Data    struct {
		List       []T `json:"list"`
		Pagination struct {
			Total      int `json:"total"`
			PageNo     int `json:"page_no"`
			PageSize   int `json:"page_size"`
			TotalPages int `json:"total_pages"`
		} `json:"pagination"`
	} `json:"data"`
}

func (e *envelope[T]) check() error {
	if e.Code == nil || *e.Code != 0 && *e.Code != 200 {
		return fmt.Errorf("the API refused: %s%s", e.Msg, e.Message)
	}
	return nil
}

// hand is a client as people write it, over something that sends a request.
type hand[T any] struct {
	base string
	get  func(ctx context.Context, url string) (*http.Response, error)
}

func (h hand[T]) into(ctx context.Context, path string, query url.Values, out interface{ check() error }) error {
	query.Set("app_key", Key)
	resp, err := h.get(ctx, h.base+path+"?"+query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return err
	}
	return out.check()
}

func (h hand[T]) Accounts(ctx context.Context) (int, error) {
	var e envelope[account[T]]
	err := h.into(ctx, "/whitelist-account/list", url.Values{}, &e)
	return len(e.Data.List), err
}

func (h hand[T]) Cities(ctx context.Context) (int, error) {
	var e envelope[proxylite.CountryCities]
	err := h.into(ctx, "/ip/dynamic-citys", url.Values{}, &e)
	return len(e.Data.List), err
}

func (h hand[T]) Walk(ctx context.Context) (n int, err error) {
	for page := 1; ; page++ {
		var e envelope[order]
		q := url.Values{"page_no": {strconv.Itoa(page)}, "page_size": {strconv.Itoa(PageSize)}}
		if err := h.into(ctx, "/order/list", q, &e); err != nil {
			return n, err
		}
		n += len(e.Data.List)
		if page >= e.Data.Pagination.TotalPages {
			return n, nil
		}
	}
}

// NewFloor is net/http and encoding/json, and a loop for 503.
func NewFloor(base string, rt http.RoundTripper) Client { return newHand[stamp](base, rt) }

// newTextFloor is the floor that leaves times as text: less than the work.
func newTextFloor(base string, rt http.RoundTripper) Client { return newHand[string](base, rt) }

func newHand[T any](base string, rt http.RoundTripper) Client {
	c := &http.Client{Transport: tuned(rt), Timeout: 30 * time.Second}
	return hand[T]{base, func(ctx context.Context, url string) (*http.Response, error) {
		for attempt := 1; ; attempt++ {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return nil, err
			}
			resp, err := c.Do(req)
			if err != nil || resp.StatusCode != http.StatusServiceUnavailable || attempt == Attempts {
				return resp, err
			}
			drain(resp)
			<-time.After(Backoff)
		}
	}}
}

func newRetryable(base string, rt http.RoundTripper) Client {
	c := retryablehttp.NewClient()
	c.Logger, c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = nil, Attempts-1, Backoff, Backoff
	c.HTTPClient = &http.Client{Transport: tuned(rt), Timeout: 30 * time.Second}
	return hand[stamp]{base, func(ctx context.Context, url string) (*http.Response, error) {
		req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		return c.Do(req)
	}}
}

type restyClient struct{ c *resty.Client }

func newResty(base string, rt http.RoundTripper) Client {
	c := resty.NewWithClient(&http.Client{Transport: tuned(rt), Timeout: 30 * time.Second}).
		SetBaseURL(base).SetQueryParam("app_key", Key).
		SetRetryCount(Attempts - 1).SetRetryWaitTime(Backoff).SetRetryMaxWaitTime(Backoff).
		AddRetryCondition(func(r *resty.Response, err error) bool {
			return err != nil || r.StatusCode() == http.StatusServiceUnavailable
		})
	return restyClient{c}
}

func (r restyClient) into(req *resty.Request, path string, out interface{ check() error }) error {
	resp, err := req.SetResult(out).Get(path)
	if err != nil {
		return err
	}
	if resp.IsError() {
		return errors.New(resp.Status())
	}
	return out.check()
}

func (r restyClient) Accounts(ctx context.Context) (int, error) {
	var e envelope[account[stamp]]
	err := r.into(r.c.R().SetContext(ctx), "/whitelist-account/list", &e)
	return len(e.Data.List), err
}

func (r restyClient) Cities(ctx context.Context) (int, error) {
	var e envelope[proxylite.CountryCities]
	err := r.into(r.c.R().SetContext(ctx), "/ip/dynamic-citys", &e)
	return len(e.Data.List), err
}

func (r restyClient) Walk(ctx context.Context) (n int, err error) {
	for page := 1; ; page++ {
		var e envelope[order]
		req := r.c.R().SetContext(ctx).SetQueryParam("page_no", strconv.Itoa(page)).SetQueryParam("page_size", strconv.Itoa(PageSize))
		if err := r.into(req, "/order/list", &e); err != nil {
			return n, err
		}
		n += len(e.Data.List)
		if page >= e.Data.Pagination.TotalPages {
			return n, nil
		}
	}
}

// oapiClient is the generated client with the floor's loop for 503 under it,
// since it has none of its own.
type oapiClient struct{ c *oapi.ClientWithResponses }

type doer struct{ c *http.Client }

func (d doer) Do(req *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := d.c.Do(req)
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || attempt == Attempts {
			return resp, err
		}
		drain(resp)
		<-time.After(Backoff)
	}
}

func newOapi(base string, rt http.RoundTripper) Client {
	c, err := oapi.NewClientWithResponses(base, oapi.WithHTTPClient(doer{&http.Client{Transport: tuned(rt), Timeout: 30 * time.Second}}))
	if err != nil {
		return failed{err}
	}
	return oapiClient{c}
}

var errNoJSON = errors.New("no success")

func (o oapiClient) Accounts(ctx context.Context) (int, error) {
	r, err := o.c.ListAccountsWithResponse(ctx, &oapi.ListAccountsParams{AppKey: Key})
	if err != nil {
		return 0, err
	}
	if r.JSON200 == nil || r.JSON200.Data == nil {
		return 0, errNoJSON
	}
	return len(r.JSON200.Data.List), nil
}

func (o oapiClient) Cities(ctx context.Context) (int, error) {
	r, err := o.c.ListCitiesWithResponse(ctx, &oapi.ListCitiesParams{AppKey: Key})
	if err != nil {
		return 0, err
	}
	if r.JSON200 == nil || r.JSON200.Data == nil {
		return 0, errNoJSON
	}
	return len(r.JSON200.Data.List), nil
}

func (o oapiClient) Walk(ctx context.Context) (n int, err error) {
	for page := 1; ; page++ {
		r, err := o.c.ListOrdersWithResponse(ctx, &oapi.OrderListParams{AppKey: Key, PageNo: &page, PageSize: new(PageSize)})
		if err != nil {
			return n, err
		}
		if r.JSON200 == nil || r.JSON200.Data == nil {
			return n, errNoJSON
		}
		n += len(r.JSON200.Data.List)
		if page >= r.JSON200.Data.Pagination.TotalPages {
			return n, nil
		}
	}
}

type sdk struct{ c *proxylite.Client }

func newSDK(base string, rt http.RoundTripper) Client {
	opts := []proxylite.Option{
		proxylite.WithBaseURL(base), proxylite.WithMaxResponse(2 * Huge),
		proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: Attempts, MinBackoff: Backoff, MaxBackoff: Backoff}),
	}
	if rt != nil {
		opts = append(opts, proxylite.WithTransport(rt))
	}
	c, err := proxylite.NewClient(proxylite.AppKey(Key), opts...)
	if err != nil {
		return failed{err}
	}
	return sdk{c}
}

func (s sdk) Accounts(ctx context.Context) (int, error) {
	l, err := s.c.Accounts.List(ctx)
	return len(l), err
}

func (s sdk) Cities(ctx context.Context) (int, error) {
	l, err := s.c.IP.Cities(ctx)
	return len(l), err
}

func (s sdk) Walk(ctx context.Context) (n int, err error) {
	p := proxylite.OrderListParams{PageParams: proxylite.PageParams{Size: PageSize}}
	for _, err := range s.c.Orders.All(ctx, p) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// failed is a client that could not be made.
type failed struct{ err error }

func (f failed) Accounts(context.Context) (int, error) { return 0, f.err }
func (f failed) Cities(context.Context) (int, error)   { return 0, f.err }
func (f failed) Walk(context.Context) (int, error)     { return 0, f.err }

// drain reads a short answer to its end, which keeps the connection.
func drain(resp *http.Response) {
	var buf [512]byte
	for {
		if _, err := resp.Body.Read(buf[:]); err != nil {
			_ = resp.Body.Close()
			return
		}
	}
}
