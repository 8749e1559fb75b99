// Package proxyliteprom has Prometheus collectors for a [proxylite.Client], a [pool.Pool]
// and a [localproxy.Server], and for what the API says about an account:
//
//	calls := proxyliteprom.NewClientCollector()
//	client, err := proxylite.NewClientFromEnv(calls.Option())
//	prometheus.MustRegister(calls)
//
//	p, err := pool.New(pool.Static(client.IP, proxylite.IPListStaticParams{}))
//	prometheus.MustRegister(proxyliteprom.NewPoolCollector("checkout", p))
//
//	exporter := proxyliteprom.NewExporter(client, proxyliteprom.ExporterConfig{})
//	go exporter.Run(ctx)
//	prometheus.MustRegister(exporter)
//
// To tell two clients or accounts apart, register their collectors through
// prometheus.WrapRegistererWith with a label. All values are in base units: seconds,
// bytes and ratios. What is not known has no series, never 0.
//
// docs/metrics.md lists the metrics, and the folder monitoring has alerts and a dashboard.
//
// It is a module of its own, so that the client does not depend on Prometheus.
package proxyliteprom
