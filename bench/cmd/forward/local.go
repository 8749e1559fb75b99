package main

import (
	"fmt"
	"net"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/localproxy"
)

// local is the local proxy over a pool of one upstream.
func local(upstream string) error {
	addr, err := net.ResolveTCPAddr("tcp", upstream)
	if err != nil {
		return err
	}
	p, err := pool.New(pool.Fixed(proxylite.Endpoint{
		Host: addr.IP.String(), Port: addr.Port, Username: username, Password: proxylite.NewPassword(password),
	}))
	if err != nil {
		return err
	}
	server, err := localproxy.New(p, localproxy.WithPrivateTargets()) // the target is on loopback
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return server.Serve(l)
}
