package proxylite_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// demo returns a client of an API in the process, which has the answers of
// testdata/full. In your program it is proxylite.NewClient(proxylite.AppKey(key)).
func demo(opts ...proxylite.Option) *proxylite.Client {
	api := apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
		answer := httptest.NewRecorder()
		for _, op := range apitest.Operations {
			if r.URL.Path == "/end-point"+op.Path {
				body, err := os.ReadFile("testdata/full/" + op.Name + ".json")
				if err != nil {
					body = []byte(`{"code":200,"msg":"ok","data":null}`)
				}
				_, _ = answer.Write(body)
			}
		}
		return answer.Result(), nil
	})
	c, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef0123456789abcdef"), append([]proxylite.Option{proxylite.WithTransport(api)}, opts...)...)
	if err != nil {
		fmt.Println(err)
	}
	return c
}

func Example() {
	client := demo() // in your program: proxylite.NewClient(proxylite.AppKey(key))

	accounts, err := client.Accounts.List(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, account := range accounts {
		fmt.Println(account.Username, "used", account.Used)
	}
	// Output:
	// pl-bob used 2 GB
	// pl-eve used 1.50 MB
}

func ExampleNewClient() {
	client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef0123456789abcdef"),
		proxylite.WithAttemptTimeout(10*time.Second),
		proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 5}),
		proxylite.WithUserAgent("shop/1.2"),
	)
	fmt.Println(client, err)

	_, err = proxylite.NewClient(proxylite.AppKey(""))
	fmt.Println(err)
	// Output:
	// proxylite.Client(https://api.proxylite.com/end-point) <nil>
	// proxylite: the app_key is empty: copy it from the dashboard
}

func ExampleAccountsService_Add() {
	client, ctx := demo(), context.Background()
	err := client.Accounts.Add(ctx, proxylite.AccountAddParams{
		Accounts:    []proxylite.NewAccount{{Username: "bob", Password: proxylite.NewPassword("pw1")}},
		ProductType: proxylite.ProductResidentialTraffic,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = client.Accounts.ChangeLimit(ctx, "bob", 5*proxylite.GB)
	fmt.Println("limited:", err == nil)
	// Output: limited: true
}

func ExampleUsageService_Daily() {
	now := time.Date(2022, 8, 3, 0, 0, 0, 0, time.UTC)
	days, err := demo().Usage.Daily(context.Background(), proxylite.UsageDailyParams{Start: now.AddDate(0, 0, -2), End: now})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, day := range days {
		fmt.Println(day.Day.Format(time.DateOnly), day.Traffic)
	}
	// Output:
	// 2022-08-01 1.50 GB
	// 2022-08-02 1 KB
}

func ExampleProductsService_List() {
	page, err := demo().Products.List(context.Background(), proxylite.ProductListParams{
		PageParams: proxylite.PageParams{Page: 2, Size: 50},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, product := range page.Items {
		fmt.Printf("%s until %s (%d in all)\n", product.ProductType, product.ExpiredAt.Format(time.DateOnly), page.Total)
	}
	// Output: static residential IP until 2022-06-13 (51 in all)
}

func ExampleIPService_Extract() {
	extracted, err := demo().IP.Extract(context.Background(), proxylite.IPExtractParams{
		Quantity: 3, CountryCode: "US", Life: 30 * time.Minute,
	})
	if errors.Is(err, proxylite.ErrIPNotAllowed) {
		fmt.Println("add this machine's IP to the allow list in the dashboard")
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	first := extracted.Endpoints[0]
	fetcher := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(first.HTTP())}}
	fmt.Println(len(extracted.Endpoints), first.HTTP(), first.SOCKS5(), fetcher != nil)
	// Output: 3 http://150.109.114.72:1140 socks5://150.109.114.72:1140 true
}

func ExampleIPService_StaticStock() {
	stock, err := demo().IP.StaticStock(context.Background(), proxylite.IPStaticStockParams{ISP: new(proxylite.ISPDatacenter)})
	fmt.Println(stock, err)
	// Output: [{US 55} {DE 3}] <nil>
}

// Orders are created once: after an unknown outcome, look before buying again.
func ExampleOrdersService_Create() {
	client, ctx := demo(), context.Background()
	order, err := client.Orders.Create(ctx, proxylite.OrderCreateParams{
		ProductID: 7, Quantity: 1, PaymentMethodID: new(int64(4)),
	})
	switch {
	case errors.Is(err, proxylite.ErrOutcomeUnknown):
		fmt.Println("list the orders before creating it again:", err)
	case err != nil:
		fmt.Println("not created:", err)
	default:
		fmt.Println(order.TradeNo, order.PayFee, order.Status)
	}
	// Output: T1 0.10 refunded
}

// All walks the pages as it is ranged over.
func ExampleOrdersService_All() {
	client := demo()
	for order, err := range client.Orders.All(context.Background(), proxylite.OrderListParams{Status: new(proxylite.OrderPaid)}) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(order.TradeNo, order.TotalFee, order.Status)
	}
	// Output: 2022051312134339861461465434 18.20 paid
}

func ExampleUserService_Info() {
	user, err := demo().User.Info(context.Background())
	fmt.Println(user.Balance, err)
	// Output: 12345678901234567.89 <nil>
}

func ExamplePaymentService_Groups() {
	groups, err := demo().Payment.Groups(context.Background(), proxylite.PaymentGroupsParams{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, group := range groups {
		for _, method := range group.Items {
			fmt.Println(method.ID, method.Title, method.Min, method.Max)
		}
	}
	// Output: 4 visa 10 5000.5
}

func ExampleMarketingService_RechargeGiftRatios() {
	ratios, err := demo().Marketing.RechargeGiftRatios(context.Background())
	fmt.Println(ratios, err)
	// Output: [{100 1.20}] <nil>
}

func ExampleError() {
	refuse := apitest.RoundTripper(func(*http.Request) (*http.Response, error) {
		answer := httptest.NewRecorder()
		_, _ = answer.WriteString(`{"code":202,"msg":"请先添加白名单 IP:203.0.113.7"}`)
		return answer.Result(), nil
	})
	_, err := demo(proxylite.WithTransport(refuse)).IP.Cities(context.Background())

	if e, ok := errors.AsType[*proxylite.Error](err); ok {
		ip, _ := e.CallerIP()
		fmt.Println(e.Operation, e.Status, e.Code, e.Outcome, ip)
	}
	fmt.Println(errors.Is(err, proxylite.ErrIPNotAllowed), errors.Is(err, proxylite.ErrOutcomeUnknown))
	// Output:
	// IP.Cities 200 202 rejected 203.0.113.7
	// true false
}

func ExampleInputError() {
	_, err := demo().IP.Extract(context.Background(), proxylite.IPExtractParams{CountryCode: "USA", Life: 90 * time.Second})
	if input, ok := errors.AsType[*proxylite.InputError](err); ok {
		for _, problem := range input.Problems {
			fmt.Println(problem)
		}
	}
	// Output:
	// Quantity: is required, from 1 to 10000 (got "0")
	// Life: must be whole minutes, not negative: 30*time.Minute (got "1m30s")
	// CountryCode: must be a country code of two letters, such as US (got "USA")
}

// A middleware sees every attempt, before the credential is added.
func ExampleWithMiddleware() {
	trace := func(next http.RoundTripper) http.RoundTripper {
		return apitest.RoundTripper(func(r *http.Request) (*http.Response, error) {
			fmt.Println(r.Method, r.URL)
			r.Header.Set("X-Request-Id", "42")
			return next.RoundTrip(r)
		})
	}
	_, err := demo(proxylite.WithMiddleware(trace)).IP.SearchStates(context.Background(), "US")
	fmt.Println(err)
	// Output:
	// GET https://api.proxylite.com/end-point/ip/dynamic-states/search?country_code=US
	// <nil>
}

// An endpoint that the SDK has no method for.
func ExampleCall() {
	answer := apitest.RoundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(
			`{"code":0,"data":[{"id":"1","code":"SPRING","discount":0.10}]}`))}, nil
	})
	coupons, err := proxylite.Call[[]proxylite.Coupon](context.Background(), demo(proxylite.WithTransport(answer)), proxylite.Operation{
		Name: "Coupons.List", Method: http.MethodGet, Path: "/coupon/list", Class: proxylite.ClassSafe,
	}, nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(coupons[0].ID, coupons[0].Code, coupons[0].Discount)
	// Output: 1 SPRING 0.10
}

// In a test of your own code, a server on loopback stands for the API.
func ExampleWithBaseURL() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"code":200,"data":{"list":["Texas"]}}`)
	}))
	defer api.Close()
	client, err := proxylite.NewClient(proxylite.AppKey("any-key-will-do"), proxylite.WithBaseURL(api.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	states, err := client.IP.SearchStates(context.Background(), "US")
	fmt.Println(states, err)
	// Output: [Texas] <nil>
}

// The raw answer of any call, a failed one's too.
func ExampleCallRaw() {
	var raw proxylite.RawResponse
	_, err := demo().IP.SearchStates(context.Background(), "US", proxylite.CallRaw(&raw))
	fmt.Println(raw.Status, strings.TrimSpace(string(raw.Body)), err)
	// Output: 200 {"code":200,"msg":"ok","data":{"list":["New York","Texas"]}} <nil>
}

func ExampleParseEndpoint() {
	e, err := proxylite.ParseEndpoint("gate-us.proxylite.com:9595:pl-bob:secret")
	fmt.Println(e, e.SOCKS5().Redacted(), err)
	// Output: gate-us.proxylite.com:9595 socks5://pl-bob:xxxxx@gate-us.proxylite.com:9595 <nil>
}
