// Package redisstore is a [pool.Store] on Redis: the pools of many machines share what
// they extract, use each address in one place at a time, keep sessions over restarts,
// and spend within one quota.
//
//	store, err := redisstore.Open("redis://localhost:6379/0", redisstore.Options{})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	source := pool.Extract(client.IP, proxylite.IPExtractParams{Quantity: 20, CountryCode: "US", Life: 30 * time.Minute})
//	p, err := pool.New(source, pool.WithStore(store), pool.WithQuota(500, time.Hour))
//
// It needs Redis 7 or later: one server, a master behind Sentinel, or a cluster, where
// everything of one fleet is in one slot. It starts no goroutine and logs nothing of
// its own. The file docs/fleet.md says how to choose the TTL, what a crash costs, and what
// can't be guaranteed.
//
// # What is in Redis
//
// The logins of the proxies in stock and in use. With [Options.Key] they are encrypted;
// without it whoever can read Redis can read them. Keys of sessions and ids of proxies
// are hashed. Every key expires when nobody has used the namespace for a week, or for
// twice the interval of the quota.
package redisstore
