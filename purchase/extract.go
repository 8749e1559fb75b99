package purchase

import (
	"context"
	"errors"
	"time"

	"github.com/proxylite/proxylite-go"
)

// Extract extracts IPs within the policy's MaxIPs and MaxIPsPerDay, as IP.Extract does.
// With it pool.Extract(buyer, params) is the source of a pool that can't spend more than
// that.
//
// The journal counts the IPs that were returned. After an unknown outcome or a crash it
// counts those that were asked for, as they may be spent; there is no way to find out.
//
// It calls IP.Extract once.
func (b *Buyer) Extract(ctx context.Context, params proxylite.IPExtractParams, opts ...proxylite.CallOption) (proxylite.Extraction, error) {
	if params.Quantity <= 0 { // an extraction of nothing must not make room in a budget
		return proxylite.Extraction{}, params.Validate()
	}
	seq, err := b.write(ctx, func(now time.Time) (*Record, error) {
		if err := b.policy.admitsIPs(&b.book, params.Quantity, now); err != nil {
			return nil, err
		}
		return &Record{State: Unknown, Open: &Opening{Quantity: params.Quantity}}, nil
	})
	if err != nil {
		return proxylite.Extraction{}, err
	}
	extraction, err := b.client.IP.Extract(ctx, params, opts...)
	spent := Record{State: Made, IPs: len(extraction.Endpoints) + len(extraction.Rejected)}
	var e *proxylite.Error
	switch {
	case errors.As(err, &e) && (e.Outcome == proxylite.OutcomeNotSent || e.Outcome == proxylite.OutcomeRejected):
		spent = Record{State: NotSent, Note: err.Error()}
	case err != nil:
		spent = Record{State: Made, IPs: params.Quantity, Note: err.Error()}
	}
	_, bookErr := b.settle(ctx, seq, func(*intent) (*Record, error) { return &spent, nil })
	return extraction, errors.Join(err, bookErr)
}
