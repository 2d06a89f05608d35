package store

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
	f    Found
	at   time.Time // before Redis was asked
	size int64
}

func newNear(budget int64, ttl time.Duration, rs *rules.Rules) *near {
	if budget == 0 {
		return nil
	}
	return &near{rules: rs, ttl: ttl, max: budget, order: list.New(), all: map[string]*nearGroup{}, urls: map[string]map[string]bool{}}
}

func (n *near) get(p Place, h http.Header) (Found, bool) {
	if n == nil {
		return Found{}, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	group := n.all[p.Hash]
	if group == nil {
		return Found{}, false
	}
	el := group.variants[n.rules.Variant(group.names, h)]
	if el == nil {
		return Found{}, false
	}
	ne, _ := el.Value.(*nearEntry)
	gone := time.Since(ne.at)
	if ne.f.Target != p.Target || gone >= n.ttl || gone >= ne.f.Left() {
		n.remove(el)
		return Found{}, false
	}
	n.order.MoveToFront(el)
	f := ne.f
	f.Elapsed += gone
	return f, true
}

func (n *near) put(f Found, at time.Time) {
	if n == nil || f.Entry.ID != "" {
		return
	}
	size := int64(512 + len(f.Entry.Target) + len(f.Entry.Body))
	for name, values := range f.Entry.Header {
		for _, v := range values {
			size += int64(len(name) + len(v) + 48)
		}
	}
	if size > n.max/8 {
		return
	}
	f.Lease = ""
	n.mu.Lock()
	defer n.mu.Unlock()
	group := n.all[f.Hash]
	if group == nil || !slices.Equal(group.names, f.Names) {
		n.drop(f.Hash)
		group = &nearGroup{names: f.Names, variants: map[string]*list.Element{}}
	}
	if el := group.variants[f.Variant]; el != nil {
		n.remove(el)
	}
	n.all[f.Hash] = group
	if n.urls[f.url] == nil {
		n.urls[f.url] = map[string]bool{}
	}
	n.urls[f.url][f.Hash] = true
	group.variants[f.Variant] = n.order.PushFront(&nearEntry{f, at, size})
	for n.used += size; n.used > n.max; {
		n.remove(n.order.Back())
	}
}

func (n *near) remove(el *list.Element) {
	ne, _ := n.order.Remove(el).(*nearEntry)
	n.used -= ne.size
	group := n.all[ne.f.Hash]
	if delete(group.variants, ne.f.Variant); len(group.variants) == 0 {
		delete(n.all, ne.f.Hash)
		if delete(n.urls[ne.f.url], ne.f.Hash); len(n.urls[ne.f.url]) == 0 {
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
