package proxylite

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
)

// Page is one page of a list. Size, Total and Pages are as the API reports them, and may
// be 0 or wrong. To read a whole list, use All.
//
// All does not rely on them. It stops at an empty page, unless that page itself reports
// more pages; then it skips empty pages, at most 1000 in a row. An entry that is on two
// consecutive pages is returned once, unless it has no ID. It is not an error if there
// are fewer entries than Total. It is an error if the list does not end within 10000
// pages, or if the same pages come again and again.
type Page[T any] struct {
	Items []T `json:"items"` // never nil
	Page  int `json:"page"`  // number of this page, starting at 1
	Size  int `json:"size"`  // number of entries on a full page
	Total int `json:"total"` // number of entries on all pages
	Pages int `json:"pages"` // number of pages
}

// PageParams select a page. A field that is 0 is not sent; the API's defaults are page 1
// and 20 entries.
type PageParams struct {
	Page int // number of the page, starting at 1
	Size int // number of entries on a page
}

// pageResponse has the counts in both places where the API puts them.
type pageResponse[T any] struct {
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
	a, err := send[pageResponse[T]](ctx, c, op, in, opts)
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

// rowKey identifies a row. Several rows may have the same order number.
type rowKey struct {
	id      int64
	tradeNo string
}

func (p *PageParams) put(in *request, pageName, sizeName string) {
	in.notNegative("Page", int64(p.Page))
	in.notNegative("Size", int64(p.Size))
	in.int(pageName, p.Page)
	in.int(sizeName, p.Size)
}

const (
	maxPages   = 10_000 // pages of one walk, far more than an account can have
	maxEmpty   = 1_000  // empty pages in a row
	maxStale   = 3      // pages in a row without a new entry
	maxRepeats = 3      // pages equal to an earlier one
)

// walk iterates over the entries of all pages from start on, and holds one page at a
// time. The key identifies an entry; ok is false if the entry has none. An entry that is
// also on the previous page is yielded once: entries move to the next page when an order
// is added during the walk. An entry without a key is always yielded.
//
// The walk ends at an empty page, unless that page reports more pages. It also ends
// after some pages without a new entry, or when the reported number of entries has been
// yielded. Fewer entries than reported are not an error, since the API is known to count
// wrong. A list that does not end, or whose pages repeat, is an error.
func walk[T any, K comparable](start int, list func(page int) (Page[T], error), key func(T) (k K, ok bool)) iter.Seq2[T, error] { //nolint:cyclop // the ends of a walk are one list
	return func(yield func(T, error) bool) {
		var none T
		var before map[K]struct{}
		count, empty, promised, stale := 0, 0, 0, 0
		first, round := max(start, 1), cycle{}
		for n := first; n-first < maxPages; n++ {
			p, err := list(n)
			if err != nil {
				yield(none, err)
				return
			}
			pages := p.Pages
			if pages == 0 && p.Size > 0 {
				if pages = p.Total / p.Size; p.Total%p.Size > 0 {
					pages++
				}
			}
			if empty == 0 {
				promised = pages // ignore a count that grows with every empty page
			}
			if len(p.Items) == 0 {
				if n >= min(pages, promised) {
					return
				}
				if empty++; empty == maxEmpty {
					yield(none, walkError(errEmpty))
					return
				}
				continue
			}
			fresh, now, sum := unseen(p.Items, before, key)
			for _, item := range fresh {
				if !yield(item, nil) {
					return
				}
			}
			count += len(fresh)
			if len(fresh) == 0 {
				if stale++; stale > maxStale || n >= pages {
					return
				}
				continue
			}
			if first == 1 && n >= pages && count == p.Total {
				return
			}
			// Pages of entries without keys may be equal, as long as the API
			// reports that many pages.
			if round.closes(sum) && (len(now) > 0 || n > pages) {
				yield(none, walkError(errRound))
				return
			}
			before, empty, stale = now, 0, 0
		}
		yield(none, walkError(errEndless))
	}
}

// unseen returns the items that were not on the previous page, the keys of all items,
// and a hash of the page. It reuses the memory of items.
func unseen[T any, K comparable](items []T, before map[K]struct{}, key func(T) (K, bool)) (fresh []T, now map[K]struct{}, sum uint64) {
	var h maphash.Hash
	h.SetSeed(pageSeed)
	now, fresh = make(map[K]struct{}, len(items)), items[:0]
	for _, item := range items {
		k, ok := key(item)
		if !ok {
			whole, _ := MarshalRevealed(item)
			_, _ = h.Write(whole)
			fresh = append(fresh, item)
			continue
		}
		maphash.WriteComparable(&h, k)
		now[k] = struct{}{}
		if _, seen := before[k]; !seen {
			fresh = append(fresh, item)
		}
	}
	return fresh, now, h.Sum64()
}

var errEmpty = fmt.Errorf("%d pages in a row are empty, but the API reports more pages: read the list with List", maxEmpty)

func walkError(why error) error {
	return &Error{Operation: "page walk", Kind: KindMalformed, Outcome: OutcomeRejected, cause: why}
}

var pageSeed = maphash.MakeSeed()

// cycle detects pages that repeat in a cycle, such as A B A B. It compares each page with
// a mark that moves at every power of two, which finds a cycle of any length (Brent's
// algorithm). A page may come again once when entries are added during the walk, but
// hardly three times unchanged.
type cycle struct {
	pages, repeats int
	mark           uint64
}

func (c *cycle) closes(page uint64) bool {
	if c.pages > 0 && page == c.mark {
		c.repeats++
	}
	if c.pages&(c.pages-1) == 0 {
		c.mark = page
	}
	c.pages++
	return c.repeats >= maxRepeats
}
