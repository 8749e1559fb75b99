// Package start gives an example program its API: the real one when the
// environment has a credential, otherwise one in the process.
package start

import (
	"fmt"
	"io"
	"os"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

// API is a client, and the server it talks to when that is in the process.
type API struct {
	*proxylite.Client
	Demo *proxylitetest.Server // nil with the real API
}

// Open takes PROXYLITE_APP_KEY or PROXYLITE_TOKEN, and PROXYLITE_BASE_URL, from
// the environment. Without any of them it starts a server in the process. It says
// on notice which of the two it was. Close ends it.
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

// Writes tells whether to do what changes or costs something: always in the
// process, with the real API only when the user asks for it.
func (a *API) Writes(asked bool) bool { return asked || a.Demo != nil }

// Close ends the server in the process, if there is one.
func (a *API) Close() {
	a.CloseIdleConnections()
	if a.Demo != nil {
		a.Demo.Close()
	}
}
