package proxyliteotel

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/proxylite/proxylite-go"
)

type roundTripper struct {
	*client
	next http.RoundTripper
}

func (c *client) wrap(next http.RoundTripper) http.RoundTripper { return roundTripper{c, next} }

// RoundTrip makes one attempt, and a span of it that ends with the body.
func (t roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	call, _ := ctx.Value(callKey{}).(*call)
	if call == nil {
		return t.next.RoundTrip(req) // another observer replaced the context of the call
	}
	port, err := strconv.Atoi(req.URL.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[req.URL.Scheme]
	}
	// The route, since the path of a Call may have a secret. Room for the attributes of
	// the response is left.
	labels := append(make([]attribute.KeyValue, 0, 8),
		semconv.HTTPRequestMethodKey.String(call.method), semconv.URLTemplate(call.route),
		semconv.ServerAddress(req.URL.Hostname()), semconv.ServerPort(port))
	before := call.sent.Add(1) - 1
	started := time.Now()
	ctx, span := t.tracer.Start(ctx, call.method+" "+call.route, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(started))
	if span.IsRecording() {
		full := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: call.route}
		span.SetAttributes(append(labels, semconv.URLFull(full.String()))...)
		if before > 0 {
			span.SetAttributes(semconv.HTTPRequestResendCount(int(before)))
		}
	}
	a := &attempt{client: t.client, ctx: ctx, span: span, started: started, labels: labels}
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	switch {
	case err != nil:
		a.end(err)
	case resp != nil && resp.Body != nil:
		a.status, a.proto = resp.StatusCode, resp.Proto
		a.ReadCloser, resp.Body = resp.Body, a
	case resp != nil:
		a.status, a.proto = resp.StatusCode, resp.Proto
		fallthrough
	default:
		a.end(nil)
	}
	return resp, err
}

// attempt is one attempt, and the body of its response.
type attempt struct {
	io.ReadCloser
	client  *client
	ctx     context.Context
	span    trace.Span
	started time.Time
	labels  []attribute.KeyValue
	status  int
	proto   string
	ended   atomic.Bool
}

// Read ends the attempt with the last byte.
func (a *attempt) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	switch err {
	case nil:
	case io.EOF:
		a.end(nil)
	default:
		a.end(err)
	}
	return n, err
}

// Close ends the attempt if the body was not read to its end.
func (a *attempt) Close() error {
	err := a.ReadCloser.Close()
	a.end(nil)
	return err
}

func (a *attempt) end(err error) {
	if a.ended.Swap(true) {
		return
	}
	before := len(a.labels)
	if a.status != 0 {
		a.labels = append(a.labels, semconv.HTTPResponseStatusCode(a.status))
		if version, ok := strings.CutPrefix(a.proto, "HTTP/"); ok {
			a.labels = append(a.labels, semconv.NetworkProtocolVersion(strings.TrimSuffix(version, ".0")))
		}
	}
	switch {
	case err != nil: // redacted: the credential layer is below
		a.labels = append(a.labels, semconv.ErrorTypeKey.String(string(proxylite.NewErrorLike(err).Kind)))
		a.span.SetStatus(codes.Error, err.Error())
	case a.status >= 400:
		a.labels = append(a.labels, semconv.ErrorTypeKey.String(strconv.Itoa(a.status)))
		a.span.SetStatus(codes.Error, "")
	}
	a.span.SetAttributes(a.labels[before:]...)
	a.client.requests.Record(a.ctx, time.Since(a.started).Seconds(), metric.WithAttributeSet(attribute.NewSet(a.labels...)))
	a.span.End()
}
