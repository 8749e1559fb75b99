package proxyliteotel

import "sync"

// cache remembers what is the same for many calls. To make the attributes of a metric
// costs more than to record it.
type cache[K comparable, V any] struct {
	mu    sync.RWMutex
	known map[K]V
}

// mostKnown keeps a cache from growing without end, should a caller of proxylite.Call put
// IDs into paths.
const mostKnown = 1000

func (c *cache[K, V]) get(k K, build func(K) V) V {
	c.mu.RLock()
	v, ok := c.known[k]
	c.mu.RUnlock()
	if ok {
		return v
	}
	v = build(k)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[K]V{}
	}
	if len(c.known) < mostKnown {
		c.known[k] = v
	}
	return v
}
