package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/reseller"
)

var eventColumns = []column[reseller.Event]{
	{name: "time", value: func(x reseller.Event) any { return x.Time }},
	{name: "kind", value: func(x reseller.Event) any { return string(x.Kind) }},
	{name: "account", value: func(x reseller.Event) any { return x.Account }},
	{name: "text", value: func(x reseller.Event) any { return x.Text }},
	{name: "id", value: func(x reseller.Event) any { return x.ID }, extra: true},
	{name: "used", value: func(x reseller.Event) any { return x.Used }, extra: true},
	{name: "limit", value: func(x reseller.Event) any { return unlimited(x.Limit) }, extra: true},
}

func (a *app) watchCmd() *cobra.Command {
	var (
		config reseller.WatchConfig
		state  string
		once   bool
	)
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Tell when traffic or time runs out",
		Long: `Tell when an account has used 80, 90 and 100 percent of its limit, and when a plan
is about to end, each once. Events go to stdout as they happen. With --state they are
not told again after a restart. With --disable-at it disables accounts, which needs
--yes or a confirmation.`,
		Example: "  proxylite watch --state watch.json -o ndjson\n  proxylite watch --once --demo",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			if config.DisableAt > 0 {
				if err := a.approve("disable accounts that have used %d%% of their limit", config.DisableAt); err != nil {
					return err
				}
			}
			return a.watch(cmd.Context(), client, config, state, once)
		},
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "", "file that keeps what was told")
	f.BoolVar(&once, "once", false, "look once and end")
	f.DurationVar(&config.Every, "every", 5*time.Minute, "time between two looks")
	f.IntSliceVar(&config.Traffic, "traffic", nil, "thresholds in percent of the limit (default 80,90,100)")
	f.DurationSliceVar(&config.Expiry, "expiry", nil, "thresholds before the end of a plan (default 168h,72h,24h)")
	f.Lookup("expiry").DefValue = ""
	f.IntVar(&config.DisableAt, "disable-at", 0, "disable accounts that have used so many percent of their limit (default never)")
	return columnHelp(cmd, eventColumns)
}

func (a *app) watch(ctx context.Context, client *proxylite.Client, config reseller.WatchConfig, state string, once bool) error {
	var before []byte
	if state != "" {
		var err error
		if before, err = os.ReadFile(state); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		config.Save = func(_ context.Context, text []byte) error { return replaceFile(state, text) }
	}
	manager, err := reseller.New(client)
	if err != nil {
		return err
	}
	a.live = true
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// show asks for events, and the watch tells them: it runs within the list.
	return show(a, eventColumns, func(yield func(reseller.Event, error) bool) {
		gone := false // nobody reads them any more
		config.Notify = func(_ context.Context, e reseller.Event) error {
			if gone || !yield(e, nil) {
				gone = true
				stop()
				return errPipe
			}
			return nil
		}
		w, err := manager.NewWatch(config, before)
		if err != nil {
			yield(reseller.Event{}, usage(err))
			return
		}
		run := w.Run
		if once {
			run = w.Look
		}
		if err := run(ctx); err != nil && ctx.Err() == nil {
			yield(reseller.Event{}, err)
		}
	})
}

// replaceFile replaces a file as a whole, readable by its owner only.
func replaceFile(path string, text []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(text)
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
