package cache

import (
	"container/list"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// near keeps small entries in the process for a moment, so that a hit costs no
// round trip. What another instance purges is served for at most that moment,
// what this one purges is gone at once. A nil near keeps nothing.
type near struct {
	rules *rules.Rules
	ttl   time.Duration
	max   int64 // bytes

	mu    sync.Mutex
	used  int64
	order *list.List // of *nearEntry, the latest used first
	all   map[string]*nearGroup
	urls  map[string]map[string]bool // hashes of the targets of a URL
}

// nearGroup is the variants of a target.
type nearGroup struct {
	names    []string // selecting headers
	variants map[string]*list.Element
}

type nearEntry struct {
	f    found
	at   time.Time // before Redis was asked
	size int64
}

func newNear(budget int64, ttl time.Duration, rs *rules.Rules) *near {
	if budget == 0 {
		return nil
	}
	return &near{rules: rs, ttl: ttl, max: budget, order: list.New(), all: map[string]*nearGroup{}, urls: map[string]map[string]bool{}}
}

func (n *near) get(p place, h http.Header) (found, bool) {
	if n == nil {
		return found{}, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	group := n.all[p.hash]
	if group == nil {
		return found{}, false
	}
	el := group.variants[n.rules.Variant(group.names, h)]
	if el == nil {
		return found{}, false
	}
	ne, _ := el.Value.(*nearEntry)
	gone := time.Since(ne.at)
	if ne.f.target != p.target || gone >= n.ttl || gone >= ne.f.left() {
		n.remove(el)
		return found{}, false
	}
	n.order.MoveToFront(el)
	f := ne.f
	f.elapsed += gone
	return f, true
}

func (n *near) put(f found, at time.Time) {
	if n == nil || f.entry.id != "" {
		return
	}
	size := int64(512 + len(f.entry.target) + len(f.entry.body))
	for name, values := range f.entry.header {
		for _, v := range values {
			size += int64(len(name) + len(v) + 48)
		}
	}
	if size > n.max/8 {
		return
	}
	f.lease = ""
	n.mu.Lock()
	defer n.mu.Unlock()
	group := n.all[f.hash]
	if group == nil || !slices.Equal(group.names, f.names) {
		n.drop(f.hash)
		group = &nearGroup{names: f.names, variants: map[string]*list.Element{}}
	}
	if el := group.variants[f.variant]; el != nil {
		n.remove(el)
	}
	n.all[f.hash] = group
	if n.urls[f.url] == nil {
		n.urls[f.url] = map[string]bool{}
	}
	n.urls[f.url][f.hash] = true
	group.variants[f.variant] = n.order.PushFront(&nearEntry{f, at, size})
	for n.used += size; n.used > n.max; {
		n.remove(n.order.Back())
	}
}

func (n *near) remove(el *list.Element) {
	ne, _ := n.order.Remove(el).(*nearEntry)
	n.used -= ne.size
	group := n.all[ne.f.hash]
	if delete(group.variants, ne.f.variant); len(group.variants) == 0 {
		delete(n.all, ne.f.hash)
		if delete(n.urls[ne.f.url], ne.f.hash); len(n.urls[ne.f.url]) == 0 {
			delete(n.urls, ne.f.url)
		}
	}
}

// drop forgets all variants of a target.
func (n *near) drop(hash string) {
	if group := n.all[hash]; group != nil {
		for _, el := range group.variants {
			n.remove(el)
		}
	}
}

// forget forgets a URL, "" for all.
func (n *near) forget(url string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if url != "" {
		for hash := range n.urls[url] {
			n.drop(hash)
		}
		return
	}
	n.used = 0
	n.order.Init()
	clear(n.all)
	clear(n.urls)
}
