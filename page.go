package proxylite

import (
	"cmp"
	"context"
	"hash/maphash"
	"iter"
)

// Page is one page of a list. The counts are what the API says; it may say 0 or
// be wrong, so take All to walk a list.
type Page[T any] struct {
	Items []T `json:"items"` // never nil
	Page  int `json:"page"`  // number of this page, from 1
	Size  int `json:"size"`  // entries on a full page
	Total int `json:"total"` // entries on all pages
	Pages int `json:"pages"` // number of pages
}

// PageParams picks a page. What is 0 is left to the API: page 1, of 20.
type PageParams struct {
	Page int // from 1
	Size int // entries on a page
}

// pageAnswer has both forms in which the API writes counts.
type pageAnswer[T any] struct {
	List       []T `json:"list"`
	Page       int `json:"page" wire:"soft"`
	PageSize   int `json:"page_size" wire:"soft"`
	TotalCount int `json:"total_count" wire:"total"`
	TotalPage  int `json:"total_page" wire:"soft"`
	Pagination struct {
		Total      int `json:"total" wire:"total"`
		PageNo     int `json:"page_no" wire:"soft"`
		PageSize   int `json:"page_size" wire:"soft"`
		TotalPages int `json:"total_pages" wire:"soft"`
	} `json:"pagination" wire:"soft"`
}

func sendPage[T any](ctx context.Context, c *Client, op *Operation, in *request, opts []CallOption) (Page[T], error) {
	a, err := send[pageAnswer[T]](ctx, c, op, in, opts)
	if err != nil {
		return Page[T]{}, err
	}
	p := Page[T]{
		a.List, cmp.Or(a.Page, a.Pagination.PageNo), cmp.Or(a.PageSize, a.Pagination.PageSize),
		cmp.Or(a.TotalCount, a.Pagination.Total), cmp.Or(a.TotalPage, a.Pagination.TotalPages),
	}
	if p.Items == nil {
		p.Items = []T{}
	}
	return p, nil
}

func (p *PageParams) page() *int { return &p.Page }

func (p *PageParams) put(in *request, pageName, sizeName string) {
	in.notNegative("Page", int64(p.Page))
	in.notNegative("Size", int64(p.Size))
	in.int(pageName, p.Page)
	in.int(sizeName, p.Size)
}

const (
	maxPages      = 10_000 // of one walk; far above what an account can hold
	maxStalePages = 3      // in a row, in the midst of a list
	maxRepeats    = 3      // pages that came before, as they were
)

// rowKey tells the entries of a list apart.
type rowKey struct {
	id      int64
	tradeNo string
}

// walk goes through the pages from the first, holding one of them. It ends on any
// answer: at a page with nothing new (unless the counts promise more), when the
// pages come round again, and after maxPages. Entries that a page shares with the
// one before come once: the list moves when an order is added meanwhile.
func walk[T any, K comparable, P any, PP interface {
	*P
	page() *int
}](ctx context.Context, list func(context.Context, P, ...CallOption) (Page[T], error), params P, opts []CallOption, key func(T) K) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		endless := func(why error) {
			var zero T
			yield(zero, &Error{Operation: "page walk", Kind: KindMalformed, Outcome: OutcomeRejected, Code: NoCode, cause: why})
		}
		var before map[K]struct{}
		count, stale := 0, 0
		seed, mark, repeats := maphash.MakeSeed(), uint64(0), 0
		params := params
		number := PP(&params).page()
		start := max(*number, 1)
		for n := start; ; n++ {
			asked := n - start
			if asked == maxPages {
				endless(errEndless)
				return
			}
			*number = n
			p, err := list(ctx, params, opts...)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			pages := p.Pages
			if pages == 0 && p.Size > 0 {
				pages = (p.Total + p.Size - 1) / p.Size
			}
			now := make(map[K]struct{}, len(p.Items))
			fresh := false
			var all maphash.Hash
			all.SetSeed(seed)
			for _, item := range p.Items {
				k := key(item)
				now[k] = struct{}{}
				maphash.WriteComparable(&all, k)
				if _, seen := before[k]; seen {
					continue
				}
				fresh = true
				count++
				if !yield(item, nil) {
					return
				}
			}
			if !fresh {
				// It may be a gap, or as many entries as a page has were added
				// meanwhile.
				if stale++; stale > maxStalePages || n >= pages {
					return
				}
				continue
			}
			stale = 0
			// Totals that are too low are seen through: the walk goes on until
			// a page brings nothing.
			if start == 1 && n >= pages && count == p.Total {
				return
			}
			before = now
			// Pages that go round, A B A B, always bring something new against
			// the one before. One mark, moved at every power of two, finds a
			// round of any length. Some entries added meanwhile can show a page
			// again, but hardly three times to the letter.
			if all.Sum64() == mark {
				if repeats++; repeats == maxRepeats {
					endless(errRound)
					return
				}
			}
			if asked&(asked-1) == 0 {
				mark = all.Sum64()
			}
		}
	}
}
