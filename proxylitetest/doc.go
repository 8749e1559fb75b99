// Package proxylitetest provides a ProxyLite server for tests, as net/http/httptest
// provides an HTTP server: a stateful API on loopback, whose extracted endpoints are
// working proxies. It also serves demos, and programs that run without an account.
package proxylitetest
