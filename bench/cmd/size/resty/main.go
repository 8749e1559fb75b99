// Command resty is the floor with resty, to compare sizes with.
package main

import (
	"fmt"
	"os"

	"github.com/go-resty/resty/v2"
)

func main() {
	var answer struct {
		Code int
		Data struct {
			List []struct {
				ID       int64
				Username string
			}
		}
	}
	_, err := resty.New().R().SetQueryParam("app_key", os.Getenv("PROXYLITE_APP_KEY")).SetResult(&answer).
		Get("https://api.proxylite.com/end-point/whitelist-account/list")
	fmt.Println(err, len(answer.Data.List))
}
