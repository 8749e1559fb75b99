package proxylite

import (
	"context"
	"net/http"
)

// MarketingService tells about bonuses.
type MarketingService struct{ c *Client }

// RechargeGiftRatio is the bonus for a recharge of the balance.
type RechargeGiftRatio struct {
	Amount Decimal `json:"amount"` // what is recharged
	Ratio  Decimal `json:"ratio"`  // as the API sends it, e.g. "1.2"
}

var opMarketingRechargeGiftRatios = Operation{Name: "Marketing.RechargeGiftRatios", Method: http.MethodGet, Path: "/activity/balance-recharge-gift-ratio", Class: ClassSafe}

// RechargeGiftRatios returns the bonuses by recharged amount.
//
// GET /activity/balance-recharge-gift-ratio. Free; may be repeated.
func (s *MarketingService) RechargeGiftRatios(ctx context.Context, opts ...CallOption) ([]RechargeGiftRatio, error) {
	return sendList[RechargeGiftRatio](ctx, s.c, &opMarketingRechargeGiftRatios, s.c.input(), opts)
}
