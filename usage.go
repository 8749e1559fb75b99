package proxylite

import (
	"context"
	"net/http"
	"time"
)

// UsageService reports traffic.
type UsageService struct{ c *Client }

// UsageDailyParams select what to report. All fields are optional.
type UsageDailyParams struct {
	Start       time.Time   // to the second; default 7 days ago
	End         time.Time   // to the second; default now
	Username    string      // one account; default all accounts
	ProductType ProductType // one kind of plan; 0 means all
}

// DailyUsage is the traffic of one day. The vendor does not document whether a day without
// traffic is listed with 0 or left out; the server of package proxylitetest leaves it out.
type DailyUsage struct {
	Day     time.Time `json:"day"` // its beginning in the client's time zone
	Traffic Traffic   `json:"flow" wire:"round"`

	Unread map[string]string `json:"unread,omitempty" wire:"unread"` // see Order.Unread
}

var opUsageDaily = Operation{Name: "Usage.Daily", Method: http.MethodGet, Path: "/user-usage-flow/total", Class: ClassSafe}

// Daily returns the traffic used on each day. Traffic is counted up to 5 minutes
// late. Start and End are sent in the client's time zone, see [WithTimeZone]; their
// years must be from 1 to 9999 there. An account that was deleted and added again
// under the same name keeps its history.
//
// Days without traffic may be left out, and an account that does not exist may give no days
// and no error. The server of package proxylitetest does both; the vendor documents neither.
//
// GET /user-usage-flow/total. Free; safe to retry.
func (s *UsageService) Daily(ctx context.Context, p UsageDailyParams, opts ...CallOption) ([]DailyUsage, error) {
	in := s.c.input()
	in.period(p.Start, p.End)
	if p.Username != "" {
		in.accountName("Username", p.Username)
	}
	in.notNegative("ProductType", int64(p.ProductType))
	in.time("Start", "start_time", p.Start, s.c.zone)
	in.time("End", "end_time", p.End, s.c.zone)
	in.str("username", p.Username)
	in.int("product_type", int(p.ProductType))
	return sendList[DailyUsage](ctx, s.c, &opUsageDaily, in, opts)
}
