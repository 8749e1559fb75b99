package purchase_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/purchase"
)

// The functions below are what the documents show, but for comments.

func shownInPurchase(ctx context.Context, client *proxylite.Client) error {
	journal, err := purchase.OpenFile("purchases.jsonl")
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	buyer, err := purchase.New(client, journal, purchase.Policy{
		PaysLater: []int64{1, 7}, // payment methods that you know to wait for payment
		MaxPerDay: "200",
	})
	if err != nil {
		return err
	}
	if _, err := buyer.Reconcile(ctx); err != nil { // what an earlier run left open
		return err
	}
	bought, err := buyer.Buy(ctx, "traffic for shop 17, November", proxylite.OrderCreateParams{
		ProductID:       901, // ask the vendor's support
		PaymentMethodID: new(int64(1)),
		Quantity:        1,
	}, purchase.Limit{MaxPay: "20.00"})
	if err != nil {
		return err // the table below says what to do
	}
	fmt.Println(bought.Order.TradeNo, bought.Order.PayFee)
	return nil
}

func proxies(buyer *purchase.Buyer) (*pool.Pool, error) {
	return pool.New(pool.Extract(buyer, proxylite.IPExtractParams{Quantity: 20, CountryCode: "US", Life: 30 * time.Minute}))
}

func renew(ctx context.Context, buyer *purchase.Buyer) ([]purchase.Purchase, error) {
	return buyer.Renew(ctx, proxylite.OrderCreateParams{
		ProductID: 1901, PaymentMethodID: new(int64(1)), RenewDuration: "1",
	}, purchase.Renewal{Within: 7 * 24 * time.Hour, PerOrder: 20}, purchase.Limit{MaxPay: "100"})
}

func buyOnce(ctx context.Context, buyer *purchase.Buyer) (proxylite.Order, error) {
	params := proxylite.OrderCreateParams{ProductID: 901, PaymentMethodID: new(int64(1)), Quantity: 1}
	bought, err := buyer.Buy(ctx, "my order 4711", params, purchase.Limit{MaxPay: "20.00"})
	if errors.Is(err, proxylite.ErrOutcomeUnknown) {
		return bought.Order, fmt.Errorf("call buyOnce again later, it buys nothing twice: %w", err)
	}
	return bought.Order, err
}

func shownInReadme(ctx context.Context, client *proxylite.Client) error {
	journal, err := purchase.OpenFile("purchases.jsonl")
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }()
	buyer, err := purchase.New(client, journal, purchase.Policy{
		PaysLater: []int64{7}, // payment methods that don't pay at once; see client.Payment.Methods
	})
	if err != nil {
		return err
	}
	bought, err := buyer.Buy(ctx, "my order 4711", proxylite.OrderCreateParams{
		ProductID:       902, // ask the vendor's support
		PaymentMethodID: new(int64(7)),
		Quantity:        1,
	}, purchase.Limit{MaxPay: "150.00"})
	if err != nil {
		return err
	}
	fmt.Println(bought.Order.TradeNo, bought.Order.PayFee)
	return nil
}

func advice(err error) string {
	var e *proxylite.Error
	switch {
	case !errors.As(err, &e):
		return "no call has failed"
	case errors.Is(err, proxylite.ErrOutcomeUnknown):
		return "it may have taken effect: repeat what is idempotent, such as ChangeLimit; else look first"
	case errors.Is(err, proxylite.ErrInvalidInput):
		return "nothing was sent: the InputError in it has each field and rule"
	case errors.Is(err, proxylite.ErrInvalidAppKey): // code 3
		return "set another key"
	case errors.Is(err, proxylite.ErrNotVerified): // code 156
		return "verify the account in the dashboard"
	case errors.Is(err, proxylite.ErrRateLimited):
		return "call again after " + e.RetryAfter.String()
	default:
		return fmt.Sprint(e.Kind, e.Outcome, e.Status, e.Code, e.Message, e.Attempts)
	}
}

func TestTheAdviceOfTheReadme(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	s.api.FailNext("Orders.Create", lost, proxylitetest.Fault{Status: 429})
	s.api.FailNext("Accounts.List", proxylitetest.Fault{Status: 429, Header: map[string][]string{"Retry-After": {"3600"}}},
		proxylitetest.Fault{Code: 3}, proxylitetest.Fault{Code: 156}, proxylitetest.Fault{Code: 9, Message: "no"})
	list := func() string { _, err := s.client.Accounts.List(t.Context()); return advice(err) }
	order := func() string { _, err := s.client.Orders.Create(t.Context(), plan(traffic)); return advice(err) }
	require.Equal(t, "it may have taken effect: repeat what is idempotent, such as ChangeLimit; else look first", order())
	require.Equal(t, "it may have taken effect: repeat what is idempotent, such as ChangeLimit; else look first", order(), "of a proxy, behind which it may have been placed")
	require.Equal(t, "call again after 1h0m0s", list())
	require.Equal(t, "set another key", list())
	require.Equal(t, "verify the account in the dashboard", list())
	require.Contains(t, list(), "no")
	require.Equal(t, "no call has failed", list())
	require.Contains(t, advice(s.client.Orders.Close(t.Context(), "")), "nothing was sent")
	require.Equal(t, "no call has failed", advice(errors.New("disk full")))
}

// Each of the programs in the documents buys once, however often it runs and whatever
// becomes of the response.
func TestTheProgramsOfTheDocumentsBuyOnce(t *testing.T) { //nolint:paralleltest // it changes the directory
	for name, program := range map[string]func(context.Context, *proxylite.Client) error{"purchase": shownInPurchase, "readme": shownInReadme} {
		for _, fault := range []proxylitetest.Fault{{}, lost} {
			t.Chdir(t.TempDir())
			s := open(t, waits)
			s.api.FailNext("Orders.Create", fault)
			for range 3 {
				require.NoError(t, program(t.Context(), s.client), name)
			}
			require.Len(t, s.orders(), 1)
		}
	}
}

func TestTheFunctionsOfTheDocuments(t *testing.T) {
	t.Parallel()
	s := open(t, waits)
	other := s.client // an older order of the same product, and a third one during the call
	_, err := other.Orders.Create(t.Context(), plan(traffic))
	require.NoError(t, err)
	s.with(t, rival(t, 902)(s))
	s.api.FailNext("Orders.Create", proxylitetest.Fault{}, lost)
	for range 2 {
		order, err := buyOnce(t.Context(), s.Buyer)
		require.NoError(t, err)
		require.Equal(t, s.api.State().Orders[2].TradeNo, order.TradeNo)
	}
	require.Len(t, s.orders(), 3)

	orders, err := renew(t.Context(), s.Buyer)
	require.NoError(t, err)
	require.Len(t, orders, 1)

	p, err := proxies(s.Buyer)
	require.NoError(t, err)
	require.NoError(t, p.Close())
}

// What the documents show about buying and errors is the code of this file, which runs.
func TestDocumentsShowWhatRuns(t *testing.T) {
	t.Parallel()
	plain := func(code string) string {
		var lines []string
		for line := range strings.Lines(code) {
			line, _, _ = strings.Cut(line, "// ")
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
	here, seen := plain(readFile(t, "snippets_test.go")), 0
	for _, doc := range []string{"../docs/guide.md", "../docs/purchase.md", "../docs/reliability.md"} {
		for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readFile(t, doc), -1) {
			if strings.Contains(block[1], "purchase.") || strings.Contains(block[1], "ErrRateLimited") {
				require.True(t, strings.Contains(here, plain(block[1])), "%s shows what snippets_test.go has not:\n%s", doc, block[1]) //nolint:testifylint // the file is long
				seen++
			}
		}
	}
	require.Equal(t, 6, seen)
}
