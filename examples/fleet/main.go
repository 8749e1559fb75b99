// Command fleet runs three worker processes that share what they extract, over a Redis.
// Kill one, as it says how, and watch the next one take over what it had.
//
//	go run . -redis redis://localhost:6379/0
//
// Without a URL it has a Redis in its own process. It always extracts from an in-process
// ProxyLite. With -for it ends by itself, and kills a worker on the way.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/redisstore"
	"github.com/proxylite/proxylite-go/proxylitetest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	run := fleet
	if os.Getenv("FLEET_WORKER") != "" {
		run = worker
	}
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

const (
	ttl       = 3 * time.Second // short, so that there is something to see
	namespace = "US"            // what the pools share
)

// worker is what you would write: one process of the fleet.
func worker(ctx context.Context) error {
	store, err := redisstore.Open(os.Getenv("FLEET_REDIS"), redisstore.Options{Fleet: os.Getenv("FLEET_NAME"), TTL: ttl})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	client, err := proxylite.NewClient(proxylite.AppKey(os.Getenv("FLEET_KEY")), proxylite.WithBaseURL(os.Getenv("FLEET_API")))
	if err != nil {
		return err
	}
	p, err := pool.New(
		pool.Extract(client.IP, proxylite.IPExtractParams{Quantity: 3, CountryCode: "US", Life: 30 * time.Minute}),
		pool.WithStore(store), // shared with the other processes
		pool.WithNamespace(namespace),
		pool.WithQuota(100, time.Hour), // of all together
	)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	web := &http.Client{Transport: p.Transport(), Timeout: 10 * time.Second}
	for ctx.Err() == nil {
		if err := visit(ctx, web); err != nil {
			fmt.Printf("worker %d: %v\n", os.Getpid(), err)
		}
		s := p.Stats()
		fmt.Printf("worker %d: %d proxies:", os.Getpid(), s.Live)
		for _, a := range p.Addresses() {
			fmt.Print(" ", a.Proxy)
		}
		fmt.Printf("; it has extracted %d\n", s.Spent)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return nil
}

func visit(ctx context.Context, web *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("FLEET_SITE"), nil)
	if err != nil {
		return err
	}
	resp, err := web.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// fleet starts the workers, with a demo of everything around them.
func fleet(ctx context.Context) error {
	url := flag.String("redis", "", "`URL` of a Redis, such as redis://localhost:6379/0; default: one in this process")
	length := flag.Duration("for", 0, "how `long` to run, and kill a worker on the way; 0: until interrupted")
	flag.Parse()
	if *url == "" {
		redis, err := miniredis.Run()
		if err != nil {
			return err
		}
		defer redis.Close()
		*url = "redis://" + redis.Addr()
	}
	api := proxylitetest.NewServer(nil)
	defer api.Close()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer site.Close()

	name := "example " + rand.Text()[:6]
	if err := create(ctx, *url, name); err != nil {
		return err
	}
	env := append(os.Environ(), "FLEET_WORKER=1", "FLEET_REDIS="+*url, "FLEET_NAME="+name, "FLEET_API="+api.URL, "FLEET_KEY="+api.Key, "FLEET_SITE="+site.URL)
	if *length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *length)
		defer cancel()
	}
	first := make(chan *os.Process, 1)
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() { supervise(ctx, env, first) })
	}
	victim := <-first
	fmt.Printf("to see what happens: kill -9 %d\n", victim.Pid)
	if *length > 0 {
		time.AfterFunc(*length/3, func() { _ = victim.Kill() })
	}
	running.Wait()
	return nil
}

// supervise starts a worker, and another one in its place when it dies.
func supervise(ctx context.Context, env []string, first chan<- *os.Process) {
	for ctx.Err() == nil {
		w := exec.CommandContext(ctx, os.Args[0]) //nolint:gosec // this program
		w.Cancel = func() error { return w.Process.Signal(os.Interrupt) }
		w.Env, w.Stdout, w.Stderr = env, os.Stdout, os.Stderr
		if err := w.Start(); err != nil {
			fmt.Fprintln(os.Stderr, "fleet:", err)
			return
		}
		select {
		case first <- w.Process:
		default:
		}
		if _ = w.Wait(); ctx.Err() != nil {
			return
		}
		fmt.Printf("worker %d has died: what it had is free in %v, for a new one\n", w.Process.Pid, ttl)
		select {
		case <-time.After(ttl + time.Second):
		case <-ctx.Done():
		}
	}
}

// create says that the fleet is new, so that it need not wait for claims of an older
// one. In your program that is done once, when the fleet is first deployed.
func create(ctx context.Context, url, name string) error {
	store, err := redisstore.Open(url, redisstore.Options{Fleet: name, TTL: ttl})
	if err != nil {
		return err
	}
	return errors.Join(store.Create(ctx, namespace), store.Close())
}
