package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
)

const (
	// scanTime is how long a page may search. What it has not found by then the
	// next page continues to look for.
	scanTime = 120 * time.Millisecond
	// scanFirst is the COUNT of the first SCAN, and scanMost the largest one, which
	// blocks the server for some tenths of a millisecond.
	scanFirst = 100
	scanMost  = 500
)

// query says what a search looks for.
type query struct {
	// match is a glob.
	match string
	// kind is the type of the values, "" for any.
	kind string
	// from is the cursor of the page before, "" for the first page.
	from string
	// want is the number of keys for a page. There may be some more, because SCAN
	// returns several at a time.
	want int
	// keep says which keys count, nil for all.
	keep func(key string) bool
}

// found is the result of one page of a search.
type found struct {
	// Keys are those of the page, each once, in the order of SCAN.
	Keys []string
	// Next is the cursor of the next page, "" at the end.
	Next string
	// Looked is about how many keys this page has visited, Total how many there are
	// on all masters.
	Looked int64
	Total  int64
}

// Part is Looked as a percentage of Total.
func (f found) Part() int64 { return min(100, 100*f.Looked/max(1, f.Total)) }

// master is a server that holds a part of the keys.
type master struct {
	// addr is "" on all topologies but a cluster, so that a search continues after a
	// failover of Sentinel.
	addr string
	rdb  *redis.Client
	// size is the number of its keys.
	size int64
}

// masters returns the servers in the order in which they are searched, with their
// numbers of keys. It fails if one of them does not answer: a part of the keys must
// not pass for all.
func masters(ctx context.Context, conn *connect.Conn) ([]master, error) {
	var (
		mu  sync.Mutex
		all []master
	)
	err := conn.EachMaster(ctx, func(ctx context.Context, rdb *redis.Client) error {
		size, err := rdb.DBSize(ctx).Result()
		m := master{rdb: rdb, size: size}
		if conn.Mode() == connect.Cluster {
			m.addr = rdb.Options().Addr
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, m)
		return err
	})
	slices.SortFunc(all, func(a, b master) int { return cmp.Compare(a.addr, b.addr) })
	return all, err
}

// scan searches for keys until it has a page of them or its time is over.
func scan(ctx context.Context, conn *connect.Conn, q query) (found, error) {
	all, err := masters(ctx, conn)
	if err != nil {
		return found{}, err
	}
	s := scanner{query: q, masters: all, seen: map[string]bool{}, count: scanFirst}
	for _, m := range all {
		s.found.Total += m.size
	}
	if err := s.locate(); err != nil {
		return s.found, err
	}
	for until := time.Now().Add(scanTime); ; {
		end, err := s.step(ctx)
		switch {
		case err != nil:
			return s.found, err
		case end:
			s.found.Looked = min(s.found.Looked, s.found.Total)
			return s.found, nil
		case len(s.found.Keys) >= q.want || time.Now().After(until):
			s.found.Next = s.at.String()
			return s.found, nil
		}
	}
}

// scanner is a search under way.
type scanner struct {
	query
	masters []master
	// at is where the next SCAN starts.
	at cursor
	// seen holds the keys of this page: SCAN may return a key more than once.
	seen map[string]bool
	// count is the COUNT of the next SCAN.
	count int64
	found found
}

// locate finds the place at which the search begins or goes on.
func (s *scanner) locate() (err error) {
	if s.from == "" {
		if len(s.masters) > 0 {
			s.at.addr = s.masters[0].addr
		}
	} else if s.at, err = parseCursor(s.from); err != nil {
		return err
	}
	if s.master() < 0 {
		return fmt.Errorf("%w: the servers have changed since the search began; begin it again", errBad)
	}
	return nil
}

// master returns the index of the master at which the search is, -1 if it is gone.
func (s *scanner) master() int {
	return slices.IndexFunc(s.masters, func(m master) bool { return m.addr == s.at.addr })
}

// step sends one SCAN; end is true after the last one. It asks for few keys at
// first, as all may match, and for more as long as few do.
func (s *scanner) step(ctx context.Context) (end bool, err error) {
	i := s.master()
	keys, next, err := s.call(ctx, s.masters[i].rdb)
	if err != nil {
		return false, err
	}
	s.found.Looked += s.count
	before := len(s.found.Keys)
	for _, key := range keys {
		if !s.seen[key] && (s.keep == nil || s.keep(key)) {
			s.seen[key] = true
			s.found.Keys = append(s.found.Keys, key)
		}
	}
	if got := len(s.found.Keys) - before; got*10 < s.want {
		s.count = min(2*s.count, scanMost)
	}
	if s.at.at = next; next != 0 {
		return false, nil
	}
	if i+1 == len(s.masters) {
		return true, nil
	}
	s.at = cursor{addr: s.masters[i+1].addr}
	return false, nil
}

// call sends one SCAN.
func (s *scanner) call(ctx context.Context, rdb *redis.Client) ([]string, uint64, error) {
	if s.kind != "" {
		return rdb.ScanType(ctx, s.at.at, s.match, s.count, s.kind).Result()
	}
	return rdb.Scan(ctx, s.at.at, s.match, s.count).Result()
}

// pattern turns the typed text into a glob. Text without glob characters may be
// anywhere in a key.
func pattern(typed string) string {
	switch {
	case typed == "":
		return "*"
	case strings.ContainsAny(typed, `*?[\`):
		return typed
	}
	return "*" + typed + "*"
}
