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

// request is what the attempts of an operation have in common.
type request struct{ method, route, scheme, host string }

// started is what the span of an attempt starts with.
type started struct {
	name string
	opts []trace.SpanStartOption
}

// attributes are those of a metric. The route stands for the path, since the path of a
// proxylite.Call may have a secret.
func (r request) attributes() []attribute.KeyValue {
	u := url.URL{Host: r.host}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[r.scheme]
	}
	return []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(r.method), semconv.URLTemplate(r.route),
		semconv.ServerAddress(u.Hostname()), semconv.ServerPort(port),
	}
}

func (r request) start() started {
	full := url.URL{Scheme: r.scheme, Host: r.host, Path: r.route}
	return started{r.method + " " + r.route, []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(append(r.attributes(), semconv.URLFull(full.String()))...),
	}}
}

// response is the end of an attempt, as far as it has few values.
type response struct {
	request
	status int    // 0 if there was no response
	proto  string // e.g. "HTTP/1.1"
	failed string // error.type, empty if it succeeded
}

// attributes are those that the request did not have.
func (r response) attributes() []attribute.KeyValue {
	attributes := make([]attribute.KeyValue, 0, 3)
	if r.status != 0 {
		attributes = append(attributes, semconv.HTTPResponseStatusCode(r.status))
	}
	if version, ok := strings.CutPrefix(r.proto, "HTTP/"); ok {
		attributes = append(attributes, semconv.NetworkProtocolVersion(strings.TrimSuffix(version, ".0")))
	}
	if r.failed != "" {
		attributes = append(attributes, semconv.ErrorTypeKey.String(r.failed))
	}
	return attributes
}

func (r response) record() []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(append(r.request.attributes(), r.attributes()...)...))}
}

type roundTripper struct {
	*client
	next http.RoundTripper
}

func (c *client) wrap(next http.RoundTripper) http.RoundTripper { return roundTripper{c, next} }

// RoundTrip makes one attempt, and a span of it that ends with the body.
func (t roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	call, _ := req.Context().Value(callKey{}).(*call)
	if call == nil {
		return t.next.RoundTrip(req) // another observer replaced the context of the call
	}
	a := &attempt{client: t.client, begun: time.Now(), response: response{request: request{call.method, call.route, req.URL.Scheme, req.URL.Host}}}
	start := t.started.get(a.request, request.start)
	a.ctx, a.span = t.tracer.Start(req.Context(), start.name, start.opts...)
	if before := call.sent.Add(1) - 1; before > 0 {
		a.span.SetAttributes(semconv.HTTPRequestResendCount(int(before)))
	}
	resp, err := t.next.RoundTrip(req.WithContext(a.ctx))
	if resp == nil || err != nil {
		a.end(err)
		return resp, err
	}
	a.status, a.proto = resp.StatusCode, resp.Proto
	if resp.Body == nil {
		a.end(nil)
		return resp, nil
	}
	a.ReadCloser, resp.Body = resp.Body, a
	return resp, nil
}

// attempt is one attempt, and the body of its response.
type attempt struct {
	io.ReadCloser
	response
	client *client
	ctx    context.Context
	span   trace.Span
	begun  time.Time
	ended  atomic.Bool
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
	switch {
	case err != nil: // redacted: the credential layer is below
		a.failed = string(proxylite.NewErrorLike(err).Kind)
		a.span.SetStatus(codes.Error, err.Error())
	case a.status >= 400:
		a.failed = strconv.Itoa(a.status)
		a.span.SetStatus(codes.Error, "")
	}
	a.client.requests.Record(a.ctx, time.Since(a.begun).Seconds(), a.client.ended.get(a.response, response.record)...)
	if a.span.IsRecording() {
		a.span.SetAttributes(a.attributes()...)
	}
	a.span.End()
}
