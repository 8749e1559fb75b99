// Command watch posts an event to a webhook when an account comes close to its limit or a
// plan to its end. Events are signed with WEBHOOK_SECRET. Without a webhook, it checks once
// and prints the events. Without an API key, it uses an in-process ProxyLite and receives
// the events itself.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/examples/internal/start"
	"github.com/proxylite/proxylite-go/proxylitetest"
	"github.com/proxylite/proxylite-go/reseller"
)

func main() {
	webhook := flag.String("webhook", "", "`URL` that events are posted to")
	file := flag.String("state", os.DevNull, "`file` that remembers what was told, for a restart")
	disable := flag.Int("disable", 0, "disable accounts that have used so many `percent` of their limit")
	every := flag.Duration("every", 5*time.Minute, "time between two looks")
	flag.Parse()
	if err := run(context.Background(), *webhook, *file, *disable, *every); err != nil {
		fmt.Fprintln(os.Stderr, "watch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, webhook, file string, disable int, every time.Duration) error {
	api, err := start.Open(os.Stdout)
	if err != nil {
		return err
	}
	defer api.Close()
	if api.Demo != nil {
		receiver := httptest.NewServer(http.HandlerFunc(receive))
		defer receiver.Close()
		webhook = receiver.URL
		api.Demo.Update(func(st *proxylitetest.State) { st.Use("bob", time.Now(), 5*proxylite.GB) })
	}
	m, err := reseller.New(api.Client)
	if err != nil {
		return err
	}
	config := reseller.WatchConfig{DisableAt: disable, Every: every, Notify: func(ctx context.Context, e reseller.Event) error { return post(ctx, webhook, e) }}
	config.Save = func(_ context.Context, state []byte) error { return os.WriteFile(file, state, 0o600) }
	state, err := os.ReadFile(file) //nolint:gosec // the user names it
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	w, err := m.NewWatch(config, state)
	if err != nil {
		return err
	}
	if webhook == "" || api.Demo != nil {
		return w.Look(ctx) // once
	}
	return w.Run(ctx)
}

// post delivers an event. After an error, the event is posted again with the same ID.
func post(ctx context.Context, url string, e reseller.Event) error {
	body, err := json.Marshal(e)
	if err != nil || url == "" {
		fmt.Println(e.Text)
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Signature", signature(fmt.Sprint(time.Now().Unix()), body))
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("the webhook says %s", resp.Status)
	}
	return nil
}
