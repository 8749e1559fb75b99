package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

func listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("can't listen: %w", err)
	}
	return listener, nil
}

// listenHere listens at an address that other machines can't reach. The error names the
// flag that the address is of.
func listenHere(ctx context.Context, flag, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		if port == "" {
			port = "8080"
		}
		return nil, usage(fmt.Errorf("%s %q: use an address of this machine alone, such as 127.0.0.1:%s", flag, address, port))
	}
	return listen(ctx, address)
}

// serve serves until the context ends. It then stops, within five seconds.
func serve(ctx context.Context, serve func() error, stop func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- serve() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = stop(ctx)
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
