package proxylite

import (
	"context"
	"net/http"
)

// MarketingService lists recharge bonuses.
type MarketingService struct{ c *Client }

// RechargeGiftRatio is the bonus for recharging the balance (充值赠金).
type RechargeGiftRatio struct {
	Amount Decimal `json:"amount"` // amount recharged
	Ratio  Decimal `json:"ratio"`  // e.g. "1.2"; the vendor does not say of what
}

var opMarketingRechargeGiftRatios = Operation{Name: "Marketing.RechargeGiftRatios", Method: http.MethodGet, Path: "/activity/balance-recharge-gift-ratio", Class: ClassSafe}

// RechargeGiftRatios returns the bonus for each recharge amount.
//
// GET /activity/balance-recharge-gift-ratio. Free; safe to retry.
func (s *MarketingService) RechargeGiftRatios(ctx context.Context, opts ...CallOption) ([]RechargeGiftRatio, error) {
	return sendList[RechargeGiftRatio](ctx, s.c, &opMarketingRechargeGiftRatios, s.c.input(), opts)
}
