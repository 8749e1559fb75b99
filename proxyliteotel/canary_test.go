package proxyliteotel_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/httptrace/otelhttptrace"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
	"github.com/proxylite/proxylite-go/proxyliteotel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	canaryKey      = `kAn/ry+=&"\<é~k`
	canaryToken    = `tOk/en+=&"\<é~t`
	canaryPassword = "pAssw0rdC4nary"
)

// operations are one of each kind: the key in the query and in the body, a
// password in the body and in the answer, each class of repetition.
var operations = map[string]func(context.Context, *proxylite.Client) error{
	"Accounts.List": func(ctx context.Context, c *proxylite.Client) error { _, err := c.Accounts.List(ctx); return err },
	"Accounts.Add": func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.Add(ctx, proxylite.AccountAddParams{Accounts: []proxylite.NewAccount{{Username: "bob", Password: proxylite.NewPassword(canaryPassword)}}})
	},
	"Accounts.ChangePassword": func(ctx context.Context, c *proxylite.Client) error {
		return c.Accounts.ChangePassword(ctx, "bob", proxylite.NewPassword(canaryPassword))
	},
	"IP.Extract": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.IP.Extract(ctx, proxylite.IPExtractParams{Quantity: 1})
		return err
	},
	"Orders.Create": func(ctx context.Context, c *proxylite.Client) error {
		_, err := c.Orders.Create(ctx, proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64)})
		return err
	},
	"Orders.All": func(ctx context.Context, c *proxylite.Client) error {
		for _, err := range c.Orders.All(ctx, proxylite.OrderListParams{}) {
			return err
		}
		return nil
	},
}

// servers say back what they were asked, byte for byte, wherever an answer has room.
var servers = map[string]func(text, url string) string{
	"success": func(string, string) string {
		return "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + `{"code":0,"data":{"list":[{"id":1,"password":"` + canaryPassword + `"}]}}`
	},
	"refusal": func(text, _ string) string {
		quoted, _ := json.Marshal(text)
		return "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + `{"code":3,"msg":` + string(quoted) + `}`
	},
	"page": func(text, url string) string {
		return "HTTP/1.1 503 " + url + "\r\nConnection: close\r\n\r\n<title>" + text + "</title>"
	},
	"redirect": func(_, url string) string {
		return "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/" + url + "\r\nConnection: close\r\n\r\n"
	},
	"no HTTP":    func(text, _ string) string { return text },
	"bad header": func(text, url string) string { return "HTTP/1.1 200 OK\r\n" + url + strings.ReplaceAll(text, ":", " ") },
	"bad trailer": func(text, _ string) string {
		return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.ReplaceAll(text, ":", " ") + "\r\n\r\n"
	},
	"cut":    func(text, _ string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + text },
	"closed": func(string, string) string { return "" },
}

func serve(t *testing.T, answer func(text, url string) string) string {
	return "http://" + apitest.Listen(t, func(conn net.Conn) {
		var text bytes.Buffer
		if r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &text))); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(conn, answer(text.String(), r.URL.String()))
		}
	})
}

// Whatever an exporter gets of a call, it holds no secret.
func TestNoSpanHoldsASecret(t *testing.T) {
	t.Parallel()
	for name, answer := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watch(t, serve(t, answer), proxylite.NewTransport())
		})
	}
	t.Run("dial refused", func(t *testing.T) {
		t.Parallel()
		watch(t, "http://127.0.0.1:1", proxylite.NewTransport())
	})
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1"+r.URL.String(), http.StatusFound)
		}))
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		tr := proxylite.NewTransport()
		tr.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		tr.TLSClientConfig.RootCAs = x509.NewCertPool()
		tr.TLSClientConfig.RootCAs.AddCert(server.Certificate())
		watch(t, server.URL, tr)
	})
}

// watch makes every call with all of OpenTelemetry on, with the spans of otelhttp and of
// net/http too, and looks at what is exported.
func watch(t *testing.T, base string, tr *http.Transport) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	for _, credential := range []proxylite.Credential{proxylite.AppKey(canaryKey), proxylite.BearerToken(canaryToken)} {
		c, err := proxylite.NewClient(credential, proxylite.WithBaseURL(base), proxylite.WithTransport(tr),
			proxylite.WithRetry(proxylite.RetryPolicy{MaxAttempts: 2, MinBackoff: 1, MaxBackoff: 1}),
			proxylite.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
				return otelhttp.NewTransport(next, otelhttp.WithTracerProvider(provider), otelhttp.WithMeterProvider(meters),
					otelhttp.WithClientTrace(func(ctx context.Context) *httptrace.ClientTrace {
						return otelhttptrace.NewClientTrace(ctx, otelhttptrace.WithTracerProvider(provider), otelhttptrace.WithInsecureHeaders())
					}))
			}),
			proxyliteotel.ForClient(proxyliteotel.WithTracerProvider(provider), proxyliteotel.WithMeterProvider(meters)))
		require.NoError(t, err)
		for _, call := range operations {
			_ = call(t.Context(), c)
		}
		c.CloseIdleConnections()
	}
	var metrics metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &metrics))
	require.GreaterOrEqual(t, len(spans.GetSpans()), 3*2*len(operations), "a span of each call and two of each attempt")

	var out bytes.Buffer
	for _, span := range spans.GetSpans() {
		fmt.Fprintf(&out, "%+v\n%#v\n", span, span)
		require.NoError(t, json.NewEncoder(&out).Encode(span.Attributes))
		require.NoError(t, json.NewEncoder(&out).Encode(span.Events))
	}
	fmt.Fprintf(&out, "%+v\n%#v\n", metrics, metrics)
	require.Contains(t, out.String(), "/end-point/whitelist-account/add", "the spans tell where the calls went")
	require.Empty(t, apitest.Leak(out.String(), canaryKey, canaryToken, canaryPassword))
}
