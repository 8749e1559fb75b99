package localproxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/proxylite/proxylite-go/internal/proxyserver"
	"github.com/proxylite/proxylite-go/pool"
)

const reasonHeader = "Proxylite-Reason"

// refusal is the response to a request that is not passed on.
type refusal struct {
	status   int
	reason   string
	message  string
	attempts int
}

func (r *refusal) Error() string { return r.message }

func badUser(format string, args ...any) *refusal {
	return &refusal{status: 407, reason: "bad_user", message: fmt.Sprintf(format, args...)}
}

func forbidden(reason, format string, args ...any) *refusal {
	return &refusal{status: 403, reason: reason, message: fmt.Sprintf(format, args...)}
}

// refusalOf says how an error is responded to.
func refusalOf(err error) *refusal {
	if own, ok := errors.AsType[*refusal](err); ok {
		return own
	}
	r := &refusal{status: 502, reason: "failed", message: err.Error()}
	if own, ok := proxyserver.RefusalOf(err); ok {
		r.status = own.Status
		r.reason = map[int]string{400: "not_for_a_proxy", 407: "wrong_login", 501: "unsupported"}[own.Status]
		return r
	}
	failed, tried := errors.AsType[*pool.Error](err)
	if tried {
		r.attempts = failed.Attempts
	}
	for _, k := range []struct {
		err    error
		reason string
	}{
		{pool.ErrClosed, "closed"},
		{pool.ErrStopped, "stopped"},
		{pool.ErrByteBudget, "byte_budget"},
		{pool.ErrSessionLost, "session_lost"},
		{pool.ErrQuota, "quota"},
		{pool.ErrNoProxy, "no_proxy"},
	} {
		if errors.Is(err, k.err) && (!tried || k.err != pool.ErrNoProxy) {
			r.status, r.reason = 503, k.reason
			return r
		}
	}
	var refused *pool.ConnectError
	switch {
	case errors.As(err, &refused):
		r.reason = "refused"
	case tried && failed.Timeout():
		r.reason = "timeout"
	}
	return r
}

func (r *refusal) response() *proxyserver.Refusal {
	body, _ := json.Marshal(struct {
		Reason   string `json:"reason"`
		Message  string `json:"message"`
		Attempts int    `json:"attempts"`
	}{r.reason, r.message, r.attempts})
	response := &proxyserver.Refusal{
		Status: r.status, Text: string(body), Reply: proxyserver.ReplyGeneralFailure,
		Header: http.Header{"Content-Type": {"application/json"}, reasonHeader: {r.reason}, "Cache-Control": {"no-store"}},
	}
	switch r.status {
	case 403:
		response.Reply = proxyserver.ReplyNotAllowed
	case 407:
		response.Header.Set("Proxy-Authenticate", `Basic realm="proxylite", charset="UTF-8"`)
	case 501:
		response.Reply = proxyserver.ReplyCommandUnsupported
	case 502:
		response.Reply = proxyserver.ReplyHostUnreachable
	}
	return response
}

// sending stops the timeout of connecting when a request has a connection.
type sending struct {
	http.RoundTripper
	late *time.Timer
}

func (s sending) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { s.late.Stop() }})
	return s.RoundTripper.RoundTrip(req.WithContext(ctx))
}
