package proxylitetest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// limitAll is the code to be tested: it sets the limit of every account.
func limitAll(ctx context.Context, client *proxylite.Client, limit proxylite.Traffic) error {
	accounts, err := client.Accounts.List(ctx)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		if err := client.Accounts.ChangeLimit(ctx, account.Username, limit); err != nil {
			return fmt.Errorf("limit of %s: %w", account.Username, err)
		}
	}
	return nil
}

// In a test pass t instead of nil; then Close is not needed.
func ExampleNewServer() {
	server := proxylitetest.NewServer(nil, proxylitetest.WithState(proxylitetest.State{
		Accounts: []proxylite.Account{{Username: "pl-bob"}, {Username: "pl-eve"}},
	}))
	defer server.Close()

	fmt.Println(limitAll(context.Background(), server.Client(), 5*proxylite.GB))
	for _, account := range server.State().Accounts {
		limit, _ := account.Limit()
		fmt.Println(account.Username, "has", limit)
	}
	for _, call := range server.Calls()[1:] {
		fmt.Println(call.Operation, call.Body)
	}
	// Output:
	// <nil>
	// pl-bob has 5 GB
	// pl-eve has 5 GB
	// Accounts.ChangeLimit {"account":"pl-bob","limit":5}
	// Accounts.ChangeLimit {"account":"pl-eve","limit":5}
}

func ExampleServer_FailNext() {
	server := proxylitetest.NewServer(nil)
	defer server.Close()

	// The order is placed, and the connection breaks before the answer.
	server.FailNext("Orders.Create", proxylitetest.Fault{Cut: true, After: true})
	_, err := server.Client().Orders.Create(context.Background(), proxylite.OrderCreateParams{
		ProductID: 901, PaymentMethodID: new(int64(1)),
	})
	fmt.Println(errors.Is(err, proxylite.ErrOutcomeUnknown))
	orders := server.State().Orders
	fmt.Println(orders[len(orders)-1].ProductName, len(server.Calls()))
	// Output:
	// true
	// 入门级 (starter) 1
}

func ExampleServer_Update() {
	server := proxylitetest.NewServer(nil)
	defer server.Close()

	server.Update(func(state *proxylitetest.State) { state.CallerNotAllowed = true })
	_, err := server.Client().IP.Extract(context.Background(), proxylite.IPExtractParams{Quantity: 1})
	fmt.Println(errors.Is(err, proxylite.ErrIPNotAllowed))
	// Output:
	// true
}
