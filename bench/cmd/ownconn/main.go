// Command ownconn measures what the connection of its own costs a call that
// spends, beside a read on a kept connection of HTTP/2: over TLS on loopback, with
// and without a delay of the network.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/proxylite/proxylite-go"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ownconn:", err)
		os.Exit(1)
	}
}

func run() error {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"code":0,"data":{"id":1,"trade_no":"1","list":[]}}`)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	fmt.Printf("%s, median of %d calls one after the other\n\n", runtime.Version(), calls)
	fmt.Println("| Round trip of the network | read, kept HTTP/2 connection | Orders.Create, its own connection | more |")
	fmt.Println("|---|---|---|---|")
	for _, roundTrip := range []time.Duration{0, 50 * time.Millisecond} {
		tr := proxylite.NewTransport()
		tr.TLSClientConfig = &tls.Config{RootCAs: roots}
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			<-time.After(roundTrip)
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil || roundTrip == 0 {
				return conn, err
			}
			return far(conn, roundTrip/2), nil
		}
		client, err := proxylite.NewClient(proxylite.AppKey("0123456789abcdef"), proxylite.WithBaseURL(server.URL), proxylite.WithTransport(tr))
		if err != nil {
			return err
		}
		read, err := median(func() error { _, err := client.Accounts.List(context.Background()); return err })
		if err != nil {
			return err
		}
		spend, err := median(func() error {
			_, err := client.Orders.Create(context.Background(), proxylite.OrderCreateParams{ProductID: 1, PaymentMethodID: new(int64)})
			return err
		})
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %s | %s | %s |\n", roundTrip, read.Round(10*time.Microsecond), spend.Round(10*time.Microsecond), (spend - read).Round(10*time.Microsecond))
		client.CloseIdleConnections()
	}
	return nil
}

const calls = 100

func median(call func() error) (time.Duration, error) {
	var took []time.Duration
	for range calls {
		begin := time.Now()
		if err := call(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// far is a connection whose bytes take a while, each way.
func far(conn net.Conn, delay time.Duration) net.Conn {
	near, remote := net.Pipe()
	go carry(remote, conn, delay)
	go carry(conn, remote, delay)
	return near
}

func carry(from, to net.Conn, delay time.Duration) {
	type packet struct {
		due  time.Time
		data []byte
	}
	line := make(chan packet, 1024)
	go func() {
		defer to.Close()
		for p := range line {
			<-time.After(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				return
			}
		}
	}()
	defer close(line)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			line <- packet{time.Now().Add(delay), slices.Clone(buffer[:n])}
		}
		if err != nil {
			return
		}
	}
}
