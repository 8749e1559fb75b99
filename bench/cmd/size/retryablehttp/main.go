// Command retryablehttp is the floor with go-retryablehttp, to compare sizes with.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

func main() {
	client := retryablehttp.NewClient()
	client.HTTPClient.Timeout = 30 * time.Second
	resp, err := client.Get("https://api.proxylite.com/end-point/whitelist-account/list?app_key=" + os.Getenv("PROXYLITE_APP_KEY"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var answer struct {
		Code int
		Data struct {
			List []struct {
				ID       int64
				Username string
			}
		}
	}
	fmt.Println(json.NewDecoder(resp.Body).Decode(&answer), len(answer.Data.List))
}
