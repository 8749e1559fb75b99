//go:build linux

package redisstore_test

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/proxylite/proxylite-go/pool"
	"github.com/proxylite/proxylite-go/pool/redisstore"
)

// BenchmarkStore measures the calls of one member among 64, each with 160 addresses, over
// a redis-server on loopback.
func BenchmarkStore(b *testing.B) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		b.Skip("redis-server is not installed")
	}
	server := startServer(b)
	client := redis.NewClient(&redis.Options{Addr: server.addr(), MaxRetries: -1, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	s, err := redisstore.New(client, redisstore.Options{TTL: time.Hour})
	must(b, err)
	must(b, s.Create(b.Context(), "stock"))
	var m pool.Member
	var held []pool.Holding
	for i := range 64 {
		m = pool.Member{Namespace: "stock", ID: fmt.Sprint("member ", i)}
		st, err := s.Sync(b.Context(), m, pool.Report{Full: true})
		must(b, err)
		m.Epoch = st.Epoch
		c, err := s.Claim(b.Context(), m, pool.Want{N: 160, Ask: 160})
		must(b, err)
		var names []string
		for j := range 160 {
			names = append(names, fmt.Sprintf("host-%d-%d", i, j))
		}
		must(b, s.Deposit(b.Context(), m, *c.Grant, 160, proxies(names...)))
		c, err = s.Claim(b.Context(), m, pool.Want{N: 160})
		must(b, err)
		held = c.Got
	}
	b.Run("renew 160", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Sync(b.Context(), m, pool.Report{Alive: true})
			must(b, err)
		}
	})
	b.Run("full sync of 160", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Sync(b.Context(), m, pool.Report{Alive: true, Full: true, Held: held})
			must(b, err)
		}
	})
	b.Run("release 10 and claim 10", func(b *testing.B) {
		ten := held[:10]
		for b.Loop() {
			var drop []pool.Drop
			for _, h := range ten {
				drop = append(drop, pool.Drop{ID: h.ID})
			}
			_, err := s.Sync(b.Context(), m, pool.Report{Alive: true, Drop: drop})
			must(b, err)
			c, err := s.Claim(b.Context(), m, pool.Want{N: 10})
			must(b, err)
			ten = c.Got
		}
	})
	b.Log(server.ask("INFO memory"))
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
