// Command oapi-codegen is the floor with the generated client, to compare sizes with.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/proxylite/proxylite-go/bench/oapi"
)

func main() {
	client, err := oapi.NewClientWithResponses("https://api.proxylite.com/end-point")
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := client.ListAccountsWithResponse(context.Background(), &oapi.ListAccountsParams{AppKey: os.Getenv("PROXYLITE_APP_KEY")})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.JSON200 != nil)
}
