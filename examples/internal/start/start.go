// Package start opens the API for an example program: the real one if the environment has
// a credential, otherwise an in-process server.
package start

import (
	"fmt"
	"io"
	"os"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// API is a client, and its server if that is in-process.
type API struct {
	*proxylite.Client
	Demo *proxylitetest.Server // nil with the real API
}

// Open reads PROXYLITE_APP_KEY or PROXYLITE_TOKEN, and PROXYLITE_BASE_URL, from the
// environment. If none of them is set, it starts an in-process server. It writes to notice
// which of the two it uses. Call Close when done.
func Open(notice io.Writer, opts ...proxylite.Option) (*API, error) {
	for _, name := range []string{"PROXYLITE_APP_KEY", "PROXYLITE_TOKEN", "PROXYLITE_BASE_URL"} {
		if os.Getenv(name) == "" {
			continue
		}
		client, err := proxylite.NewClientFromEnv(opts...)
		if err != nil {
			return nil, err
		}
		_, _ = fmt.Fprintf(notice, "Using the API: %s.\n", client)
		return &API{Client: client}, nil
	}
	demo := proxylitetest.NewServer(nil)
	_, _ = fmt.Fprintln(notice, "No PROXYLITE_APP_KEY is set: using a ProxyLite in this process. Nothing leaves this machine.")
	return &API{demo.Client(opts...), demo}, nil
}

// Writes reports whether to make calls that change or cost something: always with the
// in-process server, and with the real API only if the user asks for it.
func (a *API) Writes(asked bool) bool { return asked || a.Demo != nil }

// Close closes the in-process server, if there is one.
func (a *API) Close() {
	a.CloseIdleConnections()
	if a.Demo != nil {
		a.Demo.Close()
	}
}
