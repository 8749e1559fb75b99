// Command pool-tcp uses raw TCP through a pool, over SOCKS5. It always runs against an
// in-process ProxyLite. For the real one, make the client with proxylite.NewClient.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "pool-tcp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	demo := proxylitetest.NewServer(nil)
	defer demo.Close()
	demoAddr, stop, err := demoService(ctx)
	if err != nil {
		return err
	}
	defer stop()
	client := demo.Client()

	p, err := pool.New(pool.Extract(client.IP, proxylite.IPExtractParams{Quantity: 3, Life: 30 * time.Minute}))
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()

	for _, name := range []string{"ann", "ben", "cat"} {
		conn, err := p.DialContext(ctx, "tcp", demoAddr) // another proxy each time
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(conn, name)
		if err == nil {
			var reply string
			reply, err = bufio.NewReader(conn).ReadString('\n')
			fmt.Print(reply)
		}
		_ = conn.Close() // releases the proxy
		if err != nil {
			return err
		}
	}
	fmt.Println(p.Stats().Worked, "connections")
	return nil
}

// demoService reads a name and replies with a greeting.
func demoService(ctx context.Context) (addr string, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if name, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
					_, _ = fmt.Fprint(conn, "hello ", name)
				}
			}()
		}
	}()
	return l.Addr().String(), func() { _ = l.Close() }, nil
}
