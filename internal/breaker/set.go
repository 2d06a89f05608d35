package breaker

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
)

// Set is the breakers of the nodes that a client sends its keys to: one for
// each, so that a node that is away is not waited for while the others are
// asked as ever. Which node serves a key is found without asking Redis:
//
//   - of a cluster by the topology that go-redis keeps, which follows a
//     failover and slots that move;
//   - of a ring by its hash;
//   - one server or sentinel group is one node;
//   - of any other client nothing is known: each 256th of the hash slots has a
//     breaker of its own, and 32 failures in a row open one for all.
//
// It is safe for concurrent use. While all is well, a call costs one look-up
// and no allocation.
type Set struct {
	whole   Breaker // of the only node, of all parts together, or of what is not known to have one
	single  bool
	cluster bounded.Cluster
	ring    bounded.Ring
	known   atomic.Bool // whether go-redis knows the cluster's topology
	dead    context.Context

	nodes  atomic.Pointer[map[node]*member]
	away   atomic.Bool  // one at least is open
	looked atomic.Int64 // when open breakers were last compared with the topology
	mu     sync.Mutex   // of changes of nodes and away
}

type member struct {
	Breaker
	node node
	key  atomic.Pointer[string] // that failed last
}

// maxNodes bounds what is kept of nodes that are gone.
const maxNodes = 2 * parts

// NewSet returns the breakers for rdb, a go-redis client or what wraps one.
func NewSet(rdb any) *Set {
	s := &Set{dead: bounded.Dead()}
	s.setClient(rdb)
	return s
}

// Call is one call that a [Set] has allowed.
type Call struct {
	key     string
	start   int64
	node    *member // nil for the whole
	ticket  Ticket
	overall Ticket
}

// Event is what a report changed.
type Event struct {
	Change
	// First is an opening while all others were closed, Last the closing of the
	// last that was open: when the outage begins and when it is over.
	First, Last bool
	// Addr is the node's, "" if there is only one or its address is not known.
	Addr string
}

// Allow reports whether the node of key, as it is in Redis, may be asked. If
// so, the outcome must be reported with the call.
func (s *Set) Allow(key string) (Call, bool) {
	c := Call{key: key, start: now()}
	n, ok := s.nodeOf(key)
	if !ok {
		c.ticket, ok = s.whole.allow(c.start)
		return c, ok
	}
	c.node = s.member(n)
	if s.parted() {
		if c.overall, ok = s.whole.allow(c.start); !ok {
			return c, false
		}
		if c.overall.probe { // for all, whatever is known of this part
			c.ticket.start = c.start
			return c, true
		}
	}
	c.ticket, ok = c.node.allow(c.start)
	return c, ok
}

// Calls is a call for several keys of one node.
type Calls struct {
	Call
	Keys []string
}

// AllowAll is Allow for keys that may be on several nodes, each once; refused
// are the keys of those that may not be asked.
func (s *Set) AllowAll(keys []string) (calls []Calls, refused []string) {
	at := map[node]int{} // in calls, -1 if refused
	for _, key := range keys {
		n, ok := s.nodeOf(key)
		if !ok {
			n = node{}
		}
		i, seen := at[n]
		if !seen {
			i = -1
			if call, ok := s.Allow(key); ok {
				i, calls = len(calls), append(calls, Calls{Call: call})
			}
			at[n] = i
		}
		if i < 0 {
			refused = append(refused, key)
			continue
		}
		calls[i].Keys = append(calls[i].Keys, key)
	}
	return calls, refused
}

func (s *Set) parted() bool { return s.whole.limit != 0 }

// Report records how a call ended, by the rules of [Of].
func (s *Set) Report(c Call, err error) Event {
	return s.ReportAs(c, Of(err, time.Duration(now()-c.start)), err)
}

// ReportAs is Report for a caller who knows better what err means.
func (s *Set) ReportAs(c Call, o Outcome, err error) Event {
	if o != NoVerdict && !s.single {
		s.learn(o, c.key)
	}
	var change Change
	if c.node == nil {
		change = s.whole.Report(c.ticket, o, err)
	} else {
		if s.parted() {
			change = s.whole.Report(c.overall, o, err)
		}
		if o == Failed {
			c.node.failed(c.key)
		}
		if of := c.node.Report(c.ticket, o, err); of != None {
			change = of
		}
	}
	if s.cluster != nil && o == Failed && (change == Opened || c.ticket.probe) {
		s.cluster.ReloadState(s.dead) // in go-redis' goroutine: a replica may be the master by now
	}
	switch {
	case change != None:
		return s.changed(change, c.node)
	case o == Answered && s.away.Load():
		return s.compare()
	}
	return Event{}
}

func (m *member) failed(key string) { m.key.Store(&key) }

// member is the breaker of a node.
func (s *Set) member(n node) *member {
	if all := s.nodes.Load(); all != nil {
		if m := (*all)[n]; m != nil {
			return m
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[node]*member{}
	if now := s.nodes.Load(); now != nil {
		if m := (*now)[n]; m != nil {
			return m
		}
		maps.Copy(all, *now)
	}
	if len(all) >= maxNodes {
		maps.DeleteFunc(all, func(_ node, m *member) bool { return !m.Open() })
	}
	m := &member{node: n}
	all[n] = m
	s.nodes.Store(&all)
	return m
}

// changed makes an event of a change, and finds out whether it was the first
// or the last.
func (s *Set) changed(change Change, m *member) Event {
	e := Event{Change: change}
	if m != nil {
		e.Addr = m.node.addr
		if m.node.shard != nil {
			e.Addr = m.node.shard.Options().Addr
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	away := s.whole.Open()
	if all := s.nodes.Load(); all != nil {
		for _, m := range *all {
			away = away || m.Open()
		}
	}
	if was := s.away.Swap(away); was != away {
		e.First, e.Last = away, !away
	}
	if s.parted() && !e.First && !e.Last {
		return Event{} // parts are no nodes that anybody knows
	}
	return e
}

// lookEvery is how often open breakers are compared with the topology.
const lookEvery = 100 * time.Millisecond

// compare closes the breakers of nodes that no longer serve what failed there:
// a replica has taken over, a ring has given the keys to others. It also ends
// the outage of what was not known to have a node.
func (s *Set) compare() Event {
	last, at := s.looked.Load(), now()
	if at-last < int64(lookEvery) && last != 0 || !s.looked.CompareAndSwap(last, at) {
		return Event{}
	}
	var gone *member
	if all := s.nodes.Load(); all != nil && !s.parted() {
		for _, m := range *all {
			key := m.key.Load()
			if !m.Open() || key == nil {
				continue
			}
			if n, ok := s.nodeOf(*key); ok && n != m.node && m.forget() {
				gone = m
			}
		}
	}
	if !s.parted() && s.whole.forget() || gone != nil {
		return s.changed(Closed, gone)
	}
	return Event{}
}
