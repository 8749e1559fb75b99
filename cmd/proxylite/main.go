// Command proxylite manages ProxyLite proxies from a terminal or a script: accounts,
// traffic, IPs and orders. It needs an app_key of the dashboard, or --demo.
//
//	go install github.com/proxylite/proxylite-go/cmd/proxylite@latest
//	proxylite accounts list --demo
//
// See proxylite help, and docs/cli.md in the repository.
package main

import (
	"os"

	"github.com/proxylite/proxylite-go/cmd/proxylite/internal/cli"
)

// version is set by the linker in released archives; go install knows it by itself.
var version string

func main() { os.Exit(cli.Main(version)) }
