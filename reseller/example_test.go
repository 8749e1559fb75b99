package reseller_test

import (
	"context"
	"fmt"
	"log"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

// Look at a plan before it is applied.
func ExampleNewPlan() {
	server := proxylitetest.NewServer(nil) // or a client of the real API
	defer server.Close()
	client, ctx := server.Client(), context.Background()
	defer client.CloseIdleConnections()

	m, err := reseller.New(client)
	if err != nil {
		log.Fatal(err)
	}
	accounts, err := client.Accounts.List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	plan, err := reseller.NewPlan([]reseller.Want{
		{Name: "bob", Limit: 20 * proxylite.GB},
		{Name: "cust0001", Password: proxylite.NewPassword("s3cretpw"), Limit: 5 * proxylite.GB, Remark: new("shop")},
	}, accounts, reseller.Delete("erin"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(plan)

	results, err := m.Apply(ctx, plan)
	for _, r := range results {
		fmt.Println(r.Name, r.Done)
	}
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// limit bob: 5 GB -> 20 GB
	// add cust0001: 5 GB, remark "shop"
	// delete erin: final, 0 KB used
	// bob [limit]
	// cust0001 [add limit]
	// erin [delete]
}

// Run it again whenever it was interrupted: it does what is left.
func ExampleManager_Ensure() {
	server := proxylitetest.NewServer(nil) // or a client of the real API
	defer server.Close()
	client := server.Client()
	defer client.CloseIdleConnections()
	m, err := reseller.New(client)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		results, err := m.Ensure(context.Background(), []reseller.Want{
			{Name: "cust0001", Password: proxylite.NewPassword("s3cretpw"), Limit: 5 * proxylite.GB},
			{Name: "bob", State: reseller.StateDisabled},
		})
		for _, r := range results {
			fmt.Println(r.Name, r.Done, r.Err)
		}
		fmt.Println(err)
	}
	// Output:
	// cust0001 [add limit] <nil>
	// bob [disable] <nil>
	// <nil>
	// cust0001 [] <nil>
	// bob [] <nil>
	// <nil>
}
