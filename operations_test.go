package proxylite_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
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

func TestEveryOperationDecodesTheDocumentedAnswer(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			c, _ := apitest.Mocked(t, 200, apitest.Fixture(t, op.Name+".json"))
			got, err := op.Call(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, op.Documented, got)
		})
	}
}

func TestEveryFieldDecodes(t *testing.T) {
	t.Parallel()
	for _, op := range apitest.Operations {
		if op.Documented == nil {
			continue // its response has no data
		}
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			c, _ := apitest.Mocked(t, 200, apitest.Fixture(t, "full/"+op.Name+".json"))
			got, err := op.Call(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, op.Full, got)
			everyFieldSet(t, op.Name, reflect.ValueOf(got))
		})
	}
}

// everyFieldSet fails for a field that is zero in each element: the fixture
// would not notice its loss.
func everyFieldSet(t *testing.T, path string, values ...reflect.Value) {
	t.Helper()
	switch v := values[0]; {
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		require.NotZero(t, v.Len(), path)
		var all []reflect.Value
		for _, v := range values {
			for i := range v.Len() {
				all = append(all, v.Index(i))
			}
		}
		everyFieldSet(t, path+"[]", all...)
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			var all []reflect.Value
			for _, v := range values {
				all = append(all, v.Field(i))
			}
			switch name := v.Type().Field(i).Name; {
			case path == "IP.Extract.Endpoints[]" && name == "Raw": // for objects only
			case name == "Unread": // see TestTextsThatAreNoTime
			default:
				everyFieldSet(t, path+"."+name, all...)
			}
		}
	default:
		for _, v := range values {
			if !v.IsZero() {
				return
			}
		}
		t.Errorf("%s is nowhere set", path)
	}
}

// sentBy returns method, path and query, and the body of the one request of call,
// without the credential.
func sentBy(t *testing.T, call func(context.Context, *proxylite.Client) error, opts ...proxylite.Option) (line, body string) {
	t.Helper()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		line, body = r.Method+" "+r.URL.RequestURI(), apitest.BodyOf(t, r)
		require.Equal(t, "Bearer "+apitest.Key, r.Header.Get("Authorization"))
		require.Equal(t, body != "", r.Header.Get("Content-Type") == "application/json")
		return httpmock.NewStringResponse(200, `{"code":200,"data":{"id":1,"list":[]}}`), nil
	})
	c, err := proxylite.NewClient(proxylite.BearerToken(apitest.Key), append([]proxylite.Option{proxylite.WithTransport(mock)}, opts...)...)
	require.NoError(t, err)
	require.NoError(t, call(t.Context(), c))
	require.Equal(t, 1, mock.GetTotalCallCount())
	return line, body
}

// The table of operations sends every parameter; here are the other forms: what
// is left out is not sent, and zero is where it means something.
func TestWhatIsLeftOutIsNotSent(t *testing.T) {
	t.Parallel()
	type (
		client = *proxylite.Client
		ctx    = context.Context
	)
	for _, tt := range []struct {
		line, body string
		call       func(ctx, client) error
	}{
		{"POST /end-point/whitelist-account/add", `{"accounts":"bob:pw","remark":""}`, func(ctx ctx, c client) error {
			return c.Accounts.Add(ctx, proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{"bob", proxylite.NewPassword("pw")}}})
		}},
		{"POST /end-point/whitelist-account/change-remark", `{"account":"pl-bob","remark":"<b>&\"爬虫"}`, func(ctx ctx, c client) error {
			return c.Accounts.ChangeRemark(ctx, "pl-bob", `<b>&"爬虫`)
		}},
		{"POST /end-point/whitelist-account/change-limit", `{"account":"bob","limit":102400}`, func(ctx ctx, c client) error {
			return c.Accounts.ChangeLimit(ctx, "bob", 100*proxylite.TB)
		}},
		{"GET /end-point/user-usage-flow/total", "", func(ctx ctx, c client) error {
			_, err := c.Usage.Daily(ctx, proxylite.UsageDailyParams{})
			return err
		}},
		{"GET /end-point/user-product/list", "", func(ctx ctx, c client) error {
			_, err := c.Products.List(ctx, proxylite.ProductListParams{})
			return err
		}},
		{"GET /end-point/ip/v3?format=json&num=1", "", func(ctx ctx, c client) error {
			_, err := c.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 1})
			return err
		}},
		{"GET /end-point/ip/v3?ep=de&format=text&lb=%5Cr%5Cn&life=1440&num=2", "", func(ctx ctx, c client) error {
			_, err := c.IP.Extract(ctx, proxylite.IPExtractParams{
				Quantity: 2, Format: proxylite.FormatText, Separator: `\r\n`, Life: 24 * time.Hour, Entry: proxylite.EntryDE,
			})
			return err
		}},
		{"GET /end-point/ip/dynamic-citys/search?country_code=US&state=New+York", "", func(ctx ctx, c client) error {
			_, err := c.IP.SearchCities(ctx, "US", "New York")
			return err
		}},
		{"GET /end-point/ip/get-static-ip", "", func(ctx ctx, c client) error {
			_, err := c.IP.ListStatic(ctx, proxylite.IPListStaticParams{})
			return err
		}},
		{"GET /end-point/static-ip-region", "", func(ctx ctx, c client) error {
			_, err := c.IP.StaticStock(ctx, proxylite.IPStaticStockParams{})
			return err
		}},
		{"GET /end-point/static-ip-region?isp=1", "", func(ctx ctx, c client) error {
			_, err := c.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: new(proxylite.ISPResidential)})
			return err
		}},
		{"GET /end-point/order/list", "", func(ctx ctx, c client) error {
			_, err := c.Orders.List(ctx, proxylite.OrderListParams{})
			return err
		}},
		{"POST /end-point/order/create", `{"pid":1,"pm_id":5}`, func(ctx ctx, c client) error {
			_, err := c.Orders.Create(ctx, proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64(5))})
			return err
		}},
		{"POST /end-point/order/create", `{"pid":1,"pm_id":5,"renew_duration":"1m"}`, func(ctx ctx, c client) error {
			_, err := c.Orders.Create(ctx, proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64(5)), RenewDuration: "1m"})
			return err
		}},
		{"GET /end-point/payment/groups", "", func(ctx ctx, c client) error {
			_, err := c.Payment.Groups(ctx, proxylite.PaymentGroupsParams{})
			return err
		}},
	} {
		line, body := sentBy(t, tt.call)
		require.Equal(t, tt.line, line)
		if tt.body == "" {
			require.Empty(t, body, line)
			continue
		}
		require.JSONEq(t, tt.body, body, line)
	}
}

// Every method of a service that calls the API has an entry in the table of operations.
// A method takes CallOptions if it calls the API; iterators are calls of their List.
func TestEveryMethodHasAnOperation(t *testing.T) {
	t.Parallel()
	derived := []string{"Payment.Methods"} // calls another operation
	var methods, names []string
	for _, op := range apitest.Operations {
		names = append(names, op.Name)
	}
	client := reflect.TypeFor[proxylite.Client]()
	for i := range client.NumField() {
		service := client.Field(i)
		if !service.IsExported() {
			continue
		}
		for j := range service.Type.NumMethod() {
			m := service.Type.Method(j)
			name := service.Name + "." + m.Name
			iterates := m.Type.NumOut() == 1 && m.Type.Out(0).Kind() == reflect.Func
			if m.Type.IsVariadic() && m.Type.In(m.Type.NumIn()-1) == reflect.TypeFor[[]proxylite.CallOption]() && !iterates && !slices.Contains(derived, name) {
				methods = append(methods, name)
			}
		}
	}
	require.ElementsMatch(t, names, methods)
}
