// Command proxylite is the floor with this SDK, to compare sizes with.
package main

import (
	"context"
	"fmt"

	"github.com/proxylite/proxylite-go"
)

func main() {
	client, err := proxylite.NewClientFromEnv()
	if err != nil {
		fmt.Println(err)
		return
	}
	list, err := client.Accounts.List(context.Background())
	fmt.Println(err, len(list))
}
