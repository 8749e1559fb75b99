// Package pool turns extracted proxies into traffic: it keeps a set of live
// proxies, hands them out in turn, drops those that fail or are about to expire,
// and fetches the next ones in time, without paying twice.
//
//	p, err := pool.New(pool.Extract(client.IP, proxylite.IPExtractParams{
//		Quantity: 20, CountryCode: "US", Life: 30 * time.Minute,
//	}))
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	web := &http.Client{Transport: p.Transport()}
//
// # Ways out
//
//   - [Pool.Transport] for an http.Client: the way to prefer. It knows what became of
//     each request, so it can take failing proxies out and repeat through another.
//   - [Pool.Proxy] for http.Transport.Proxy, where a library builds its own transport.
//   - [Pool.DialContext] for raw TCP, over SOCKS5.
//   - [Pool.Get] for anything else: a lease on one proxy.
//   - [Group] for several pools behind one handle, such as one for each country.
//
// None of them ever goes out without a proxy: with no proxy to use they wait or fail.
//
// # Whose fault it is
//
// A failure takes a proxy out only when others work where it fails. What a target, the
// caller or this machine causes costs no proxy: see docs/pool.md.
//
// # What it costs
//
// A fetch happens when traffic needs it, one at a time, never in an idle pool.
// [WithQuota] sets a ceiling; a fetch of unknown outcome counts as spent;
// refusals that more calls can't cure stop the fetching until [Pool.Resume].
// [Pool.Stats] tells what was spent and what was wasted.
//
// # Many pools
//
// [WithStore] shares proxies, sessions and the quota with the pools of this process or
// of other machines, so that each proxy is used in one place at a time: see
// docs/fleet.md.
package pool
