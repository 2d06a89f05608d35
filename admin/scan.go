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
	scanTime  = 120 * time.Millisecond // for one page
	scanFirst = 100                    // COUNT of the first call
	scanMost  = 500                    // and the largest: some tenths of a millisecond for the server
)

// query is a search for keys.
type query struct {
	match string // a glob pattern
	kind  string // a type of values, "" for any
	from  string // a cursor, "" to begin
	want  int    // keys for a page, some more may come
	// keep says which keys count, nil for all.
	keep func(key string) bool
}

// found is one page of a search.
type found struct {
	Keys   []string
	Next   string // where it goes on, "" at the end
	Looked int64  // about how many keys were looked at
	Total  int64  // how many there are
}

// Part is what Looked is of Total, in percent.
func (f found) Part() int64 { return min(100, 100*f.Looked/max(1, f.Total)) }

// master is where a part of the keys is.
type master struct {
	addr string
	rdb  *redis.Client
	size int64
}

// masters in the order in which they are searched, with their numbers of keys.
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

// scan looks for keys until it has a page of them or its time is over. It asks
// for few at first, for all may match, and for more while few do.
func scan(ctx context.Context, conn *connect.Conn, q query) (found, error) {
	all, err := masters(ctx, conn)
	if err != nil {
		return found{}, err
	}
	var f found
	for _, m := range all {
		f.Total += m.size
	}
	at := cursor{}
	if len(all) > 0 {
		at.addr = all[0].addr
	}
	if q.from != "" {
		if at, err = parseCursor(q.from); err != nil {
			return f, err
		}
	}
	i := slices.IndexFunc(all, func(m master) bool { return m.addr == at.addr })
	if i < 0 {
		return f, fmt.Errorf("%w: the servers have changed since the search began; begin it again", errBad)
	}
	until, seen, size := time.Now().Add(scanTime), map[string]bool{}, int64(scanFirst)
	for {
		keys, next, err := step(ctx, all[i].rdb, at.at, q, size)
		if err != nil {
			return f, err
		}
		f.Looked += size
		got := 0
		for _, key := range keys {
			if !seen[key] && (q.keep == nil || q.keep(key)) { // SCAN repeats keys
				seen[key] = true
				f.Keys = append(f.Keys, key)
				got++
			}
		}
		if at.at = next; next == 0 {
			if i++; i == len(all) {
				f.Looked = min(f.Looked, f.Total)
				return f, nil
			}
			at = cursor{addr: all[i].addr}
		}
		if len(f.Keys) >= q.want || time.Now().After(until) {
			f.Next = at.String()
			return f, nil
		}
		if got*10 < q.want {
			size = min(2*size, scanMost)
		}
	}
}

func step(ctx context.Context, rdb *redis.Client, at uint64, q query, size int64) ([]string, uint64, error) {
	if q.kind != "" {
		return rdb.ScanType(ctx, at, q.match, size, q.kind).Result()
	}
	return rdb.Scan(ctx, at, q.match, size).Result()
}

// pattern makes a glob of what somebody typed: text without any magic in it
// may stand anywhere in the key.
func pattern(typed string) string {
	switch {
	case typed == "":
		return "*"
	case strings.ContainsAny(typed, `*?[\`):
		return typed
	}
	return "*" + typed + "*"
}
