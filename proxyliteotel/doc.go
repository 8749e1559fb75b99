// Package proxyliteotel reports the calls of a [proxylite.Client] and the work of a
// [pool.Pool] to OpenTelemetry, as spans and metrics:
//
//	client, err := proxylite.NewClientFromEnv(proxyliteotel.ForClient())
//	p, err := pool.New(pool.Static(client.IP, proxylite.IPListStaticParams{}), proxyliteotel.ForPool("checkout"))
//
// Both use the global providers of package otel, unless [WithTracerProvider] and
// [WithMeterProvider] name others. No span and no metric holds the credential, a
// password, a query or a body.
//
// It is a module of its own, so that the client does not depend on OpenTelemetry.
package proxyliteotel
