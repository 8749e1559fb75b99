package proxylite

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
)

// Page is one page of a list. The counts are the API's and may be 0 or wrong; use
// All to read a whole list.
//
// All does not rely on the counts. It ends at an empty page, except that it passes as
// many empty pages as such a page itself counts, at most 1000 in a row. It returns an
// entry once that stands on two pages in a row, unless the entry has no ID. If the
// counts promise more entries than there are, that is not an error. A list without
// an end, or whose pages go round, is one.
type Page[T any] struct {
	Items []T `json:"items"` // never nil
	Page  int `json:"page"`  // number of this page, from 1
	Size  int `json:"size"`  // entries on a full page
	Total int `json:"total"` // entries on all pages
	Pages int `json:"pages"` // number of pages
}

// PageParams select a page. Fields that are 0 are left to the API, which takes page
// 1 of 20 entries.
type PageParams struct {
	Page int // from 1
	Size int // entries on a page
}

// pageResponse has both forms in which the API writes counts.
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

// rowKey identifies a row; an order number alone may stand in several.
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
	maxPages   = 10_000 // of one walk; far above what an account can hold
	maxEmpty   = 1_000  // pages in a row
	maxStale   = 3      // pages in a row that only repeat the one before
	maxRepeats = 3      // pages that came before, as they were
)

// walk goes through the pages from start on and holds one of them at a time. The
// key identifies an entry; ok is false for one that has none. An entry that is
// also on the page before comes once, as a list moves when an order is added
// meanwhile; one without a key always comes.
//
// The walk ends at an empty page, unless that page counts more pages: then it asks
// for as many as that one said. It also ends at a page that only repeats the one
// before, or when all entries that are counted have come. Counts that promise more
// than what comes are not an error: the API is known to count wrong. Lists that
// have no end, or go round, end in an error.
func walk[T any, K comparable](start int, list func(page int) (Page[T], error), key func(T) (k K, ok bool)) iter.Seq2[T, error] {
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
				pages = (p.Total + p.Size - 1) / p.Size
			}
			if empty == 0 {
				promised = pages // a promise that moves away is none
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
			// Equal pages of entries without keys may be honest, as far as they
			// are counted.
			if round.closes(sum) && (len(now) > 0 || n > pages) {
				yield(none, walkError(errRound))
				return
			}
			before, empty, stale = now, 0, 0
		}
		yield(none, walkError(errEndless))
	}
}

// unseen returns the items that were not on the page before, the keys of all, and
// a fingerprint of the page. It reuses items.
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

var errEmpty = fmt.Errorf("%d pages in a row are empty, but the API counts more: walk the list with List", maxEmpty)

func walkError(why error) error {
	return &Error{Operation: "page walk", Kind: KindMalformed, Outcome: OutcomeRejected, cause: why}
}

var pageSeed = maphash.MakeSeed()

// cycle finds pages that go round, A B A B, where each differs from the one before.
// A mark that moves at every power of two finds a round of any length (Brent). A
// few entries that are added meanwhile can show a page again, but hardly three
// times to the letter.
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
