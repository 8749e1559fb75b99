package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/proxylite/proxylite-go/proxyliteprom"
)

// exporterFlags are the flags of "exporter".
type exporterFlags struct {
	config    proxyliteprom.ExporterConfig
	profiles  []string
	listen    string
	webConfig string
	once      bool
	file      string
}

// polled is the exporter of a profile. The name is empty if there is only one.
type polled struct {
	*proxyliteprom.Exporter
	profile string
}

func (a *app) exporterCmd() *cobra.Command {
	var e exporterFlags
	cmd := &cobra.Command{
		Use:   "exporter",
		Short: "Serve metrics for Prometheus: traffic, limits, ends, stock, orders",
		Long: `Serve metrics for Prometheus: traffic, limits, ends, stock, orders. It asks the API
at each interval, with calls that are free; a scrape makes no call. A part that can't
be read is told on stderr and by the metric proxylite_up, and its series end after
three intervals.

With --once it asks the API once and writes the metrics to stdout, or to --file for
the textfile collector of the node exporter. The exit code is 7 if a part failed, and
that of the failure if all did.

--profiles serves several logins, told apart by the label profile. --web-config is a
web configuration file of the Prometheus exporter toolkit, for TLS and passwords.`,
		Example: "  proxylite exporter --demo\n  proxylite exporter --profiles shop,crawler --accounts 20\n" +
			"  proxylite exporter --once --file /var/lib/prometheus/node-exporter/proxylite.prom",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flagsOfEnvironment(cmd.LocalNonPersistentFlags()); err != nil {
				return usage(err)
			}
			return a.exporter(cmd.Context(), &e)
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.listen, "listen", "127.0.0.1:9959", "address and port")
	f.DurationVar(&e.config.Interval, "interval", 5*time.Minute, "time between two polls of the API")
	f.IntVar(&e.config.Accounts, "accounts", 0, "accounts with series of their own, those with the most traffic (default none)")
	f.StringSliceVar(&e.profiles, "profiles", nil, "profiles of \"proxylite login\" (default the one of --profile)")
	f.StringVar(&e.webConfig, "web-config", "", "file that turns on TLS and passwords")
	f.BoolVar(&e.once, "once", false, "poll once, write the metrics and end")
	f.StringVar(&e.file, "file", "", "file that --once replaces (default stdout)")
	f.VisitAll(func(flag *pflag.Flag) { flag.Usage += " (" + exporterVariable(flag) + ")" })
	return cmd
}

func exporterVariable(flag *pflag.Flag) string {
	return "PROXYLITE_EXPORTER_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
}

// flagsOfEnvironment sets the flags that the command line does not.
func flagsOfEnvironment(flags *pflag.FlagSet) error {
	var all []error
	flags.VisitAll(func(flag *pflag.Flag) {
		name := exporterVariable(flag)
		if value := os.Getenv(name); value != "" && !flag.Changed {
			if err := flags.Set(flag.Name, value); err != nil {
				all = append(all, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	return errors.Join(all...)
}

func (e *exporterFlags) validate() error {
	switch {
	case e.config.Interval < time.Second:
		return fmt.Errorf("--interval %s: use at least 1s", e.config.Interval)
	case e.config.Accounts < 0:
		return fmt.Errorf("--accounts %d: use 0 or more", e.config.Accounts)
	case e.file != "" && !e.once:
		return errors.New("--file needs --once")
	}
	if err := web.Validate(e.webConfig); err != nil {
		return fmt.Errorf("--web-config: %w", err)
	}
	return nil
}

func (a *app) exporter(ctx context.Context, e *exporterFlags) error {
	if err := e.validate(); err != nil {
		return usage(err)
	}
	registry := prometheus.NewRegistry()
	exporters, err := a.exporters(e, registry)
	if err != nil {
		return err
	}
	if e.once {
		return a.exportOnce(ctx, e, exporters, registry)
	}
	listener, err := listen(ctx, e.listen)
	if err != nil {
		return err
	}
	address := listener.Addr().(*net.TCPAddr)
	if err := a.write(fmt.Sprintf("metrics at %s/metrics\n", address)); err != nil {
		return errors.Join(err, listener.Close())
	}
	if !address.IP.IsLoopback() && e.webConfig == "" {
		a.note("whoever reaches %s can read the metrics: --web-config adds a password and TLS", address)
	}
	ctx, stop := context.WithCancel(ctx)
	var polls sync.WaitGroup
	for _, x := range exporters {
		polls.Go(func() { x.Run(ctx) })
	}
	err = a.serveMetrics(ctx, listener, e.webConfig, registry)
	stop()
	polls.Wait()
	return err
}

// exporters returns an exporter of each profile, and registers it.
func (a *app) exporters(e *exporterFlags, registry prometheus.Registerer) ([]polled, error) {
	names := e.profiles
	if len(names) == 0 {
		names = []string{a.profile}
	} else if a.profile != "" {
		return nil, usage(errors.New("--profile and --profiles can't be used together"))
	}
	var exporters []polled
	baseURL := a.baseURL
	for i, name := range names {
		if slices.Contains(names[:i], name) || (name == "" && len(e.profiles) > 0) {
			return nil, usage(fmt.Errorf("--profiles: %q is empty or there twice", name))
		}
		a.profile, a.baseURL = name, baseURL // a login has a URL of its own
		client, err := a.connect()
		if err != nil {
			return nil, err
		}
		x, of := polled{}, registry
		if len(e.profiles) > 0 {
			x.profile, of = name, prometheus.WrapRegistererWith(prometheus.Labels{"profile": name}, registry)
		}
		config := e.config
		config.Failed = func(err error) {
			for _, err := range failures(x.profile, err) {
				a.note("%s", err)
			}
		}
		x.Exporter = proxyliteprom.NewExporter(client, config)
		if err := of.Register(x); err != nil {
			return nil, err
		}
		exporters = append(exporters, x)
	}
	return exporters, nil
}

// failures are those of the parts of a poll.
func failures(profile string, err error) []error {
	joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if !ok {
		return nil
	}
	failed := slices.Clone(joined.Unwrap())
	if profile != "" {
		for i, err := range failed {
			failed[i] = fmt.Errorf("profile %q: %w", profile, err)
		}
	}
	return failed
}

// serveMetrics serves until the context ends, and then lets scrapes that are under way end.
func (a *app) serveMetrics(ctx context.Context, listener net.Listener, config string, registry *prometheus.Registry) error {
	level := slog.LevelWarn
	if a.verbose {
		level = slog.LevelDebug
	}
	log := slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level})
	mux := http.NewServeMux()
	mux.Handle("/{$}", http.RedirectHandler("/metrics", http.StatusFound))
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: a.timeout, WriteTimeout: a.timeout, ErrorLog: slog.NewLogLogger(log, slog.LevelWarn)}
	return serve(ctx,
		func() error {
			return web.Serve(listener, server, &web.FlagConfig{WebConfigFile: &config}, slog.New(log))
		},
		func(ctx context.Context) error {
			if server.Shutdown(ctx) != nil {
				return server.Close() // what takes longer is cut
			}
			return nil
		})
}

// exportOnce polls once and writes the metrics, also those that tell what failed.
func (a *app) exportOnce(ctx context.Context, e *exporterFlags, exporters []polled, registry *prometheus.Registry) error {
	var failed []error
	for _, x := range exporters {
		failed = append(failed, failures(x.profile, x.Poll(ctx))...)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	succeeded := false
	var text bytes.Buffer
	for _, family := range families {
		if family.GetName() == "proxylite_up" {
			for _, m := range family.GetMetric() {
				succeeded = succeeded || m.GetGauge().GetValue() == 1
			}
		}
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			return err
		}
	}
	if e.file == "" {
		err = a.write(text.String())
	} else {
		err = prometheus.WriteToTextfile(e.file, registry)
	}
	switch {
	case err != nil:
		return err
	case len(failed) == 0:
		return nil
	case !succeeded:
		return fmt.Errorf("no part of the API can be read: %w", failed[0])
	}
	for _, err := range failed {
		a.note("%s", err)
	}
	return partly("%s can't be read", count(len(failed), "part"))
}
