package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/proxylite/proxylite-go/reseller"
)

// signature is "t=<time>,v1=<HMAC-SHA256 of time, dot and body>".
func signature(stamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(os.Getenv("WEBHOOK_SECRET")))
	_, _ = fmt.Fprintf(mac, "%s.%s", stamp, body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// receive handles the requests to a webhook.
func receive(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var at int64
	_, _ = fmt.Sscanf(r.Header.Get("X-Signature"), "t=%d,", &at)
	right := hmac.Equal([]byte(signature(fmt.Sprint(at), body)), []byte(r.Header.Get("X-Signature")))
	var e reseller.Event
	if !right || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute || json.Unmarshal(body, &e) != nil {
		http.Error(w, "not signed, or too old", http.StatusForbidden)
		return
	}
	fmt.Printf("received %s: %s\n", e.ID[:8], e.Text)
}
