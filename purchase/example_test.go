package purchase_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/purchase"
)

// The response to an order is lost, and the program buys it once all the same.
func ExampleBuyer_Buy() {
	server := proxylitetest.NewServer(nil) // or a client of the real API
	defer server.Close()
	server.FailNext("Orders.Create", proxylitetest.Fault{After: true, Cut: true})
	client, ctx := server.Client(), context.Background()
	defer client.CloseIdleConnections()

	dir, err := os.MkdirTemp("", "purchases") // keep yours
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	journal, err := purchase.OpenFile(filepath.Join(dir, "purchases.jsonl"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = journal.Close() }()
	buyer, err := purchase.New(client, journal, purchase.Policy{PaysLater: []int64{1}, MaxPerDay: "200"})
	if err != nil {
		log.Fatal(err)
	}

	for range 2 { // the second time, nothing is sent
		bought, err := buyer.Buy(ctx, "traffic for November", proxylite.OrderCreateParams{
			ProductID: 901, PaymentMethodID: new(int64(1)), Quantity: 1,
		}, purchase.Limit{MaxPay: "20.00"})
		fmt.Println(bought.Order.ProductID, bought.Order.PayFee, bought.Order.Status, err)
	}
	// Output:
	// 901 18.20 awaiting payment <nil>
	// 901 18.20 awaiting payment <nil>
}
