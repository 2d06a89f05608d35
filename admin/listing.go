package admin

import (
	"context"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/rights"
)

// listing is what the pages of limits, sessions, cache, locks and jobs have in common:
// one page of a search under a prefix.
type listing struct {
	// Page is the name of the page, for its links.
	Page string
	Conn string
	// Sources are the prefixes to choose from, Source is the chosen one.
	Sources []string
	Source  string
	Found   found
	// Next is the link to the next page, From the cursor of this one.
	Next string
	From string
	// Took is how long the search took, Rows how many rows it has filled.
	Took time.Duration
	Rows int
}

// listPage is the number of rows of a page.
const listPage = 50

// listed says what a page lists.
type listed struct {
	page     string
	standard string // default prefix of the keys
	form     string // glob pattern of what follows the prefix
	kind     string
}

// list searches for one page of keys of a kind.
func (p *Panel) list(r *http.Request, of listed) (*connect.Conn, listing, error) {
	conn, err := p.conn(r)
	if err != nil {
		return nil, listing{}, err
	}
	q, start := r.URL.Query(), time.Now()
	l := listing{Page: of.page, Conn: conn.Name(), Sources: p.sources(of.standard), Source: q.Get("source"), From: q.Get("cursor")}
	if l.Source == "" {
		l.Source = l.Sources[len(l.Sources)-1] // the application's own
	}
	if !slices.Contains(l.Sources, l.Source) {
		return nil, l, errBad
	}
	l.Found, err = scan(r.Context(), conn, query{match: escapeGlob(l.Source) + of.form, from: l.From, want: listPage, keep: p.is(of.kind)})
	slices.Sort(l.Found.Keys)
	if l.Found.Next != "" {
		l.Next = link(of.page, "conn", l.Conn, "source", l.Source, "cursor", l.Found.Next)
	}
	l.Took, l.Rows = time.Since(start), len(l.Found.Keys)
	return conn, l, err
}

// tally counts keys for as long as a page may take. all is false if there are more.
func (p *Panel) tally(ctx context.Context, conn *connect.Conn, match, kind string) (n int, all bool, err error) {
	f, err := scan(ctx, conn, query{match: match, want: math.MaxInt / 20, keep: p.is(kind)})
	return len(f.Keys), f.Next == "", err
}

// ask runs a pipeline whose commands may fail one by one, because a key is gone or has
// another type. It returns an error if Redis does not answer or a right is missing:
// an empty page would look like an empty Redis.
func ask(ctx context.Context, rdb redis.UniversalClient, fill func(redis.Pipeliner)) error {
	pipe := rdb.Pipeline()
	fill(pipe)
	if pipe.Len() == 0 {
		return nil
	}
	return rights.Pipeline(pipe.Exec(ctx))
}

// readable is the largest value that is read as a whole.
const readable = 1 << 20

// sizeOf asks for the memory of a value of ours. These have few elements, so Redis
// samples all of them and the size is exact.
func sizeOf(ctx context.Context, pipe redis.Pipeliner, key string) *redis.IntCmd {
	cmd := redis.NewIntCmd(ctx, "memory", "usage", key, "samples", 300)
	cmd.SetFirstKeyPos(2)
	_ = pipe.Process(ctx, cmd) // queued
	return cmd
}

// small leaves out keys whose values are too large to be ours. An embedded server does
// not know sizes, which counts as small.
func small(ctx context.Context, rdb redis.UniversalClient, keys []string) ([]string, error) {
	sizes := make([]*redis.IntCmd, len(keys))
	err := ask(ctx, rdb, func(pipe redis.Pipeliner) {
		for i, key := range keys {
			sizes[i] = sizeOf(ctx, pipe, key)
		}
	})
	var kept []string
	for i, key := range keys {
		if sizes[i].Val() <= readable {
			kept = append(kept, key)
		}
	}
	return kept, err
}

// expires returns when a key with this PTTL expires, the zero time for never.
func expires(ttl *redis.DurationCmd) time.Time {
	if ttl.Err() != nil || ttl.Val() < 0 {
		return time.Time{}
	}
	return time.Now().Add(ttl.Val())
}
