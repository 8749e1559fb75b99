package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func (a *app) sandboxCmd() *cobra.Command {
	var (
		address, key, seed string
		gateway            bool
	)
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve a made-up ProxyLite on this machine, for tests in any language",
		Long: `Serve a made-up ProxyLite on this machine, for tests in any language. It keeps what
is done to it until it ends, and the IPs that it extracts are working proxies, which
only connect to this machine.

  GET  /sandbox/state   everything that it holds, as JSON; a file for --seed
  GET  /sandbox/calls   the requests so far
  POST /sandbox/fault   what goes wrong with the next response of an operation:
       {"operation": "Orders.Create", "status": 502, "code": 0, "message": "",
        "body": "", "delay": "2s", "cut": false, "after": true, "times": 1}`,
		Example: "  proxylite sandbox --listen 127.0.0.1:8080 --key testkey",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			options := []proxylitetest.Option{}
			if key != "" {
				if len(key) < 6 {
					return usage(errors.New("--key must have at least 6 characters"))
				}
				options = append(options, proxylitetest.WithKey(key))
			}
			if seed != "" {
				text, err := a.readFile(seed)
				if err != nil {
					return err
				}
				var state proxylitetest.State
				if err := json.Unmarshal(text, &state); err != nil {
					return usage(fmt.Errorf("the seed can't be used: %w", err))
				}
				options = append(options, proxylitetest.WithState(state))
			}
			listener, err := listenHere(cmd.Context(), "--listen", address)
			if err != nil {
				return err
			}
			defer func() { _ = listener.Close() }()
			server := proxylitetest.NewServer(nil, options...)
			defer server.Close()
			return a.serveSandbox(cmd.Context(), server, listener, gateway)
		},
	}
	f := cmd.Flags()
	f.StringVar(&address, "listen", "127.0.0.1:8080", "loopback address and port; port 0 takes a free one")
	f.StringVar(&key, "key", "", "app_key that it accepts (default a fixed one, which it prints)")
	f.StringVar(&seed, "seed", "", "file with what it holds at first (default demo data)")
	f.BoolVar(&gateway, "gateway", false, "start a gateway for the accounts, too, and print its address")
	return cmd
}

// serveSandbox serves until the context ends.
func (a *app) serveSandbox(ctx context.Context, server *proxylitetest.Server, listener net.Listener, gateway bool) error {
	target, err := url.Parse(server.URL)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		// A response that the server cuts is cut here, too.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     nil,
		// One connection for each request: net/http would repeat a cut one by itself.
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	mux := http.NewServeMux()
	mux.Handle("/", proxy)
	mux.HandleFunc("GET /sandbox/state", func(w http.ResponseWriter, _ *http.Request) {
		text, err := proxylite.MarshalRevealed(server.State())
		reply(w, text, err)
	})
	mux.HandleFunc("GET /sandbox/calls", func(w http.ResponseWriter, _ *http.Request) {
		text, err := json.Marshal(server.Calls())
		reply(w, text, err)
	})
	mux.HandleFunc("POST /sandbox/fault", func(w http.ResponseWriter, r *http.Request) { addFault(server, w, r) })
	fields := fmt.Sprintf("PROXYLITE_BASE_URL=http://%s\nPROXYLITE_APP_KEY=%s\n", listener.Addr(), server.Key)
	if gateway {
		fields += fmt.Sprintf("PROXYLITE_GATEWAY=%s\n", server.Gateway())
	}
	if err := a.write(fields); err != nil {
		return err
	}
	a.note("sandbox: made-up data, nothing is real; it ends with Ctrl-C")
	web := &http.Server{Handler: mux, ReadHeaderTimeout: a.timeout}
	return serve(ctx, func() error { return web.Serve(listener) }, func(context.Context) error { return web.Close() })
}

func reply(w http.ResponseWriter, text []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

// addFault reads what is to go wrong.
func addFault(server *proxylitetest.Server, w http.ResponseWriter, r *http.Request) {
	var in struct {
		Operation string      `json:"operation"`
		Status    int         `json:"status"`
		Code      int         `json:"code"`
		Message   string      `json:"message"`
		Header    http.Header `json:"header"`
		Body      string      `json:"body"`
		Delay     string      `json:"delay"`
		Cut       bool        `json:"cut"`
		After     bool        `json:"after"`
		Times     int         `json:"times"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil || in.Operation == "" {
		http.Error(w, "a fault is a JSON object with an operation, such as Orders.Create", http.StatusBadRequest)
		return
	}
	fault := proxylitetest.Fault{Status: in.Status, Code: in.Code, Message: in.Message, Header: in.Header, Body: in.Body, Cut: in.Cut, After: in.After}
	if in.Delay != "" {
		var err error
		if fault.Delay, err = time.ParseDuration(in.Delay); err != nil {
			http.Error(w, `delay must be a duration such as "2s"`, http.StatusBadRequest)
			return
		}
	}
	for range min(max(in.Times, 1), 1000) {
		server.FailNext(in.Operation, fault)
	}
	w.WriteHeader(http.StatusNoContent)
}
