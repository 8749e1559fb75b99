package cli_test

import (
	"context"
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/proxylite/proxylite-go"
)

// sdkCalls are the calls of the SDK that the commands of testdata/script/requests.txtar
// make.
var sdkCalls = map[string]func(context.Context, *proxylite.Client) error{
	"Accounts.List": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.Accounts.List(ctx)
		return err
	},
	"Accounts.Add": func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.Add(ctx, proxylite.AccountAddParams{
			Accounts: []proxylite.NewAccount{{Username: "zoe", Password: proxylite.NewPassword("hunter2")}},
			Remark:   "新", ProductType: proxylite.ProductResidentialTraffic,
		})
	},
	"Accounts.Delete": func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.Delete(ctx, []string{"bob", "carol"})
	},
	"Accounts.Disable": func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.Disable(ctx, []string{"bob", "carol"})
	},
	"Accounts.Enable": func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.Enable(ctx, []string{"bob", "carol"})
	},
	"Accounts.ChangePassword": func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.ChangePassword(ctx, "bob", proxylite.NewPassword("hunter2"))
	},
	"Accounts.ChangeRemark": func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.ChangeRemark(ctx, "bob", "")
	},
	"Accounts.ChangeLimit": func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.ChangeLimit(ctx, "bob", 2*proxylite.TB)
	},
	"Usage.Daily": func(ctx context.Context, c *proxylite.Client) error {
		day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.FixedZone("UTC+8", 8*60*60))
		_, err := c.Usage.Daily(ctx, proxylite.UsageDailyParams{Start: day, End: day.AddDate(0, 0, 1), Username: "bob", ProductType: 9})
		return err
	},
	"Products.List": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.Products.List(ctx, proxylite.ProductListParams{PageParams: proxylite.PageParams{Page: 1, Size: 5}, TradeNo: "1", ProductType: 9})
		return err
	},
	"IP.Extract": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.IP.Extract(ctx, proxylite.IPExtractParams{
			Quantity: 2, CountryCode: "US", State: "NY", City: "Buffalo", Life: 30 * time.Minute, Entry: proxylite.EntryUS, Format: proxylite.FormatText,
		})
		return err
	},
	"IP.Cities": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.IP.Cities(ctx)
		return err
	},
	"IP.SearchCities": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.IP.SearchCities(ctx, "US", "NY")
		return err
	},
	"IP.States": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.IP.States(ctx)
		return err
	},
	"IP.SearchStates": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.IP.SearchStates(ctx, "US")
		return err
	},
	"IP.ListStatic": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.IP.ListStatic(ctx, proxylite.IPListStaticParams{
			PageParams: proxylite.PageParams{Page: 1, Size: 5}, CountryCode: "US", TradeNo: "1", ProductType: 25, Status: proxylite.StaticIPExpiringSoon,
		})
		return err
	},
	"IP.StaticStock": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.IP.StaticStock(ctx, proxylite.IPStaticStockParams{ISP: new(proxylite.ISPDatacenter)})
		return err
	},
	"Orders.List": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.Orders.List(ctx, proxylite.OrderListParams{
			PageParams: proxylite.PageParams{Page: 1, Size: 5}, TradeNo: "1", Status: new(proxylite.OrderAwaitingPayment), ProductType: 9,
		})
		return err
	},
	"Orders.Create": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.Orders.Create(ctx, proxylite.OrderCreateParams{
			ProductID: 901, PaymentMethodID: new(int64(0)), Quantity: 2, CouponCode: "WELCOME5", UseInvitationDiscount: new(false),
		})
		return err
	},
	"Orders.Close": func(ctx context.Context, c *proxylite.Client) error {
		return c.Orders.Close(ctx, "2026112500000000000000050036")
	},
	"User.Info": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.User.Info(ctx)
		return err
	},
	"Payment.Groups": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.Payment.Groups(ctx, proxylite.PaymentGroupsParams{TradeNo: "1"})
		return err
	},
	"Marketing.RechargeGiftRatios": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.Marketing.RechargeGiftRatios(ctx)
		return err
	},
}

// same OPERATION compares the last request with the one that the SDK sends.
func same(ts *testscript.TestScript, _ bool, args []string) {
	server := serverOf(ts)
	calls := server.Calls()
	got := calls[len(calls)-1]
	_ = sdkCalls[args[0]](context.Background(), server.Client()) // refused the second time, perhaps
	calls = server.Calls()
	want := calls[len(calls)-1]
	show := func(x any) string { return fmt.Sprintf("%+v", x) }
	if got.Operation != args[0] || got.Method != want.Method || got.Path != want.Path || got.Auth != want.Auth ||
		show(got.Query) != show(want.Query) || got.Body != want.Body {
		ts.Fatalf("sent %s\nwant %s", show(got), show(want))
	}
	seen := map[string]bool{}
	for _, c := range calls {
		seen[c.Operation] = true
	}
	if len(args) > 1 && len(seen) != len(sdkCalls) {
		ts.Fatalf("%d operations were compared, the SDK has %d", len(seen), len(sdkCalls))
	}
}
