// Package purchase places orders and extracts IPs within limits that you set, and
// never places an order twice.
//
//	journal, err := purchase.OpenFile("/var/lib/shop/purchases.jsonl")
//	if err != nil {
//		return err
//	}
//	defer func() { _ = journal.Close() }()
//	buyer, err := purchase.New(client, journal, purchase.Policy{PaysLater: []int64{7}, MaxPerDay: "200"})
//	if err != nil {
//		return err
//	}
//	if _, err := buyer.Reconcile(ctx); err != nil { // what an earlier run left open
//		return err
//	}
//	params := proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: new(int64(7)), Quantity: 1}
//	bought, err := buyer.Buy(ctx, "traffic-2026-11", params, purchase.Limit{MaxPay: "20.00"})
//
// # Why
//
// ProxyLite's API has no quote: the fee is known once the order exists. It has no
// idempotency key either: after a lost response nobody knows whether the order was
// placed. A [Buyer] therefore writes down what it is about to buy before it sends it,
// compares the fee with the limit, closes an order that costs more, and looks for the
// order after a lost response or a crash.
//
// # One key, one order
//
// Each purchase has a key of your choice, such as the number of your own customer's
// order. The journal keeps the key. [Buyer.Buy] with a key that was bought before
// sends nothing and returns the order of that time, also in another process and after
// a crash.
//
// # How an order is recognised
//
// An order of the API does not name what asked for it, not even its quantity. After an
// unknown outcome the buyer lists the orders and compares them with those that it
// listed before it sent. A new order of the same product, created in the time of the
// call, is taken as the one if there is exactly one, if no other purchase of the
// journal has it, and if no other purchase that is still open could have made it.
// Anything else is [ErrAmbiguous]: nothing is sent again, and a person decides with
// [Buyer.Settle]. Only if there is no new order at all, after the API had time to place
// it and to list it ([WithListDelay]), the purchase counts as not made. An order that
// comes later still is ambiguous for the next Buy with its key, as long as that has not
// been bought again.
//
// An order that somebody else places for the same product at the same time, in the
// dashboard or from a program with another journal, can be taken for that of a lost
// response. Let all programs that buy with one account share a [Journal].
//
// # What it can't do
//
// A payment method that pays at once spends the money before anybody knows the fee. The
// API does not say which methods do. [Policy] names those that you know to wait; any
// other is refused unless [Limit] accepts it.
package purchase
