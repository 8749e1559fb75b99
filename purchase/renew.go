package purchase

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Renewal says which static IPs to renew.
type Renewal struct {
	// Within selects the IPs that expire in this time from now on; required. IPs that
	// have expired are left out.
	Within time.Duration
	// PerOrder is how many IPs one order renews at most; 0 is 50. The limit of a renewal
	// is that of each order.
	PerOrder int
	// ExpiresAt says when an IP expires; nil takes StaticIP.ExpiredAt. The vendor does
	// not document the entry: if yours has the time in another field, read it from Raw.
	// IPs with a zero time are left out.
	ExpiresAt func(proxylite.StaticIP) time.Time
}

// Renew orders the renewal of the static IPs that expire soon, and returns the orders.
// It can be run as often as you like: an IP is renewed once for each term, as long as
// its order is not closed, refunded or left unpaid. Renewals of earlier runs whose outcome
// is still unknown are returned first, and their IPs are left out until that is settled.
//
// The params are those of an order, without StaticIPs. The product is one that renews;
// ask the vendor's support for its ID. Renew stops at the first error, and returns the
// orders until then.
//
// It calls IP.AllStatic and what [Buyer.Reconcile] calls, and for each order what
// [Buyer.Buy] calls.
func (b *Buyer) Renew(ctx context.Context, params proxylite.OrderCreateParams, r Renewal, limit Limit) ([]Purchase, error) { //nolint:cyclop // the steps of a renewal, in order
	if r.Within <= 0 || r.PerOrder < 0 || len(params.StaticIPs) > 0 {
		return nil, fmt.Errorf("purchase: Renewal.Within is %s and must be positive, PerOrder is %d and must not be negative, and %d StaticIPs are given where Renew chooses them",
			r.Within, r.PerOrder, len(params.StaticIPs))
	}
	orders, err := b.Reconcile(ctx)
	if err != nil {
		return nil, err
	}
	orders = slices.DeleteFunc(orders, func(p Purchase) bool { return p.Renews == nil || p.State != Unknown })
	due, err := b.due(ctx, r)
	if err != nil {
		return orders, err
	}
	for group := range slices.Chunk(due, cmp.Or(r.PerOrder, 50)) {
		renews := make(map[string]time.Time, len(group))
		hash := sha256.New()
		params.StaticIPs = nil
		for _, ip := range group {
			params.StaticIPs = append(params.StaticIPs, ip.id)
			renews[ip.id] = ip.expires
			_, _ = fmt.Fprintln(hash, ip.id, ip.expires.Unix())
		}
		key := "renew " + hex.EncodeToString(hash.Sum(nil)[:8])
		// The order of an earlier run may have been closed: its key is used up.
		for n, name := 2, key; ; n++ {
			i, err := b.get(ctx, key)
			if err != nil {
				return orders, err
			}
			if i == nil || i.state != Closed {
				break
			}
			key = fmt.Sprintf("%s #%d", name, n)
		}
		p, err := b.buy(ctx, key, params, limit, renews)
		if errors.Is(err, ErrRenewed) {
			continue // another buyer was faster
		}
		if p.Key != "" {
			orders = append(orders, p)
		}
		if err != nil {
			return orders, err
		}
	}
	return orders, nil
}

type dueIP struct {
	id      string
	expires time.Time
}

// due returns the IPs to renew, those that expire first at the front.
func (b *Buyer) due(ctx context.Context, r Renewal) ([]dueIP, error) {
	var due []dueIP
	now := time.Now()
	for ip, err := range b.client.IP.AllStatic(ctx, proxylite.IPListStaticParams{PageParams: proxylite.PageParams{Size: 100}}) {
		if err != nil {
			return nil, err
		}
		expires := ip.ExpiredAt
		if r.ExpiresAt != nil {
			expires = r.ExpiresAt(ip)
		}
		b.mu.Lock()
		renewed := b.book.renewed(ip.ID, expires)
		b.mu.Unlock()
		if ip.ID != "" && renewed == nil && expires.After(now) && !expires.After(now.Add(r.Within)) {
			due = append(due, dueIP{ip.ID, expires})
		}
	}
	slices.SortFunc(due, func(a, b dueIP) int {
		return cmp.Or(a.expires.Compare(b.expires), cmp.Compare(a.id, b.id))
	})
	return slices.CompactFunc(due, func(a, b dueIP) bool { return a.id == b.id }), nil
}
