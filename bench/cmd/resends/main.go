// Command resends measures what net/http does by itself, without this SDK: how often
// a server reads one request of an http.Client, when it says or does something after
// which the client might send it again. It prints the table of docs/nethttp.md for
// the Go release that it is run with.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

var requests = []struct {
	name, method, body, idempotencyKey string
}{
	{"GET", http.MethodGet, "", ""},
	{"POST", http.MethodPost, `{"buy":1}`, ""},
	{"POST with `Idempotency-Key`", http.MethodPost, `{"buy":1}`, "1"},
}

// A fault is what the server does each time that it has read the request, or only
// so many times; then it answers.
type fault struct {
	what  string
	warm  int // connections that have served a request before
	times int
	h1    func(*exchange1)
	h2    func(*exchange2)
	set   func(*http.Transport)
}

const ever = 20 // or the measurement would have no end

var faults = []fault{
	{what: "HTTP/1, new connection: closes it", times: ever, h1: (*exchange1).close},
	{what: "HTTP/1, kept connection: closes it", warm: 1, times: ever, h1: (*exchange1).close},
	{what: "HTTP/1, kept connection: resets it", warm: 1, times: ever, h1: (*exchange1).reset},
	{what: "HTTP/1, ten kept connections: closes each", warm: 10, times: ever, h1: (*exchange1).close},
	{what: "HTTP/1, `DisableKeepAlives`: closes it", warm: 1, times: ever, h1: (*exchange1).close, set: func(t *http.Transport) { t.DisableKeepAlives = true }},
	{what: "HTTP/2: closes the connection", times: ever, h2: (*exchange2).close},
	{what: "HTTP/2: `RST_STREAM` `PROTOCOL_ERROR`, once", times: 1, h2: rst(http2.ErrCodeProtocol)},
	{what: "HTTP/2: `RST_STREAM` `PROTOCOL_ERROR`", times: ever, h2: rst(http2.ErrCodeProtocol)},
	{what: "HTTP/2: `RST_STREAM` `REFUSED_STREAM`, once", times: 1, h2: rst(http2.ErrCodeRefusedStream)},
	{what: "HTTP/2: `RST_STREAM` `REFUSED_STREAM`", times: ever, h2: rst(http2.ErrCodeRefusedStream)},
	{what: "HTTP/2: `RST_STREAM` `INTERNAL_ERROR`", times: ever, h2: rst(http2.ErrCodeInternal)},
	{what: "HTTP/2: `GOAWAY`, last stream below the request, once", times: 1, h2: (*exchange2).goAway},
	{what: "HTTP/2: `GOAWAY`, last stream below the request", times: ever, h2: (*exchange2).goAway},
}

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "resends:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	type cell struct {
		read int64
		err  error
	}
	cells := make([][]cell, len(faults))
	var wg sync.WaitGroup
	for i, f := range faults {
		cells[i] = make([]cell, len(requests))
		for j := range requests {
			wg.Go(func() { cells[i][j].read, cells[i][j].err = f.measure(j) })
		}
	}
	wg.Wait() // net/http pauses between some

	fmt.Fprintf(out, "| %s |", runtime.Version())
	for _, r := range requests {
		fmt.Fprintf(out, " %s |", r.name)
	}
	fmt.Fprintf(out, "\n|---%s|\n", strings.Repeat("|---", len(requests)))
	for i, f := range faults {
		fmt.Fprintf(out, "| %s |", f.what)
		for j, c := range cells[i] {
			if c.err != nil {
				return fmt.Errorf("%s, %s: %w", f.what, requests[j].name, c.err)
			}
			fmt.Fprintf(out, " %d |", c.read)
		}
		fmt.Fprintln(out)
	}
	return nil
}

// measure returns how often the server read the request.
func (f fault) measure(request int) (read int64, err error) {
	s, err := newServer(f)
	if err != nil {
		return 0, err
	}
	defer s.close()
	t := &http.Transport{Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(f.h1 != nil)
	t.Protocols.SetUnencryptedHTTP2(f.h2 != nil)
	client := &http.Client{Transport: t, Timeout: 3 * time.Minute}
	defer t.CloseIdleConnections()
	if err := s.warmUp(client); err != nil {
		return 0, err
	}
	if f.set != nil {
		f.set(t)
	}

	r := requests[request]
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequest(r.method, s.url+"/", body)
	if err != nil {
		return 0, err
	}
	if r.idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", r.idempotencyKey)
	}
	if resp, err := client.Do(req); err == nil { // that it fails is what some faults are about
		_ = resp.Body.Close()
	}
	return s.read.Load(), nil
}
