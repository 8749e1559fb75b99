// Package proxylitetest is a ProxyLite in the process, as net/http/httptest is an
// HTTP server: a stateful API on loopback, whose extracted endpoints are real
// proxies. It is for tests, demos and running a program without an account.
package proxylitetest
