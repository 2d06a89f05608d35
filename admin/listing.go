package admin

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/rights"
)

// listing is what the pages of limits, sessions, cache, locks and jobs have in
// common: a search under a prefix.
type listing struct {
	Page    string
	Conn    string
	Sources []string // prefixes to choose from
	Source  string
	Found   found
	Next    string // link
	From    string
	Took    time.Duration
	Rows    int
}

const listPage = 50 // rows

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

// tally counts keys for as long as a page may take; all is false if there are
// more.
func (p *Panel) tally(ctx context.Context, conn *connect.Conn, match, kind string) (n int, all bool, err error) {
	f, err := scan(ctx, conn, query{match: match, want: math.MaxInt / 20, keep: p.is(kind)})
	return len(f.Keys), f.Next == "", err
}

// ask runs a pipeline whose commands may fail each for itself: a key may have
// gone, or another type. A Redis that does not answer is an error, and so is one
// that does not allow it: nothing to see would look like nothing there.
func ask(ctx context.Context, rdb redis.UniversalClient, fill func(redis.Pipeliner)) error {
	pipe := rdb.Pipeline()
	fill(pipe)
	if pipe.Len() == 0 {
		return nil
	}
	cmds, err := pipe.Exec(ctx)
	for _, cmd := range cmds {
		if _, missing := rights.Missing(cmd.Err()); missing {
			return cmd.Err()
		}
	}
	var answered redis.Error
	if err == nil || errors.Is(err, redis.Nil) || errors.As(err, &answered) && !errors.Is(err, connect.ErrUnavailable) {
		return nil
	}
	return err
}

// readable is the largest value that is read as a whole.
const readable = 1 << 20

// sizeOf asks for the memory of a value of ours, which has few elements: that
// all are looked at makes it exact.
func sizeOf(ctx context.Context, pipe redis.Pipeliner, key string) *redis.IntCmd {
	cmd := redis.NewIntCmd(ctx, "memory", "usage", key, "samples", 300)
	cmd.SetFirstKeyPos(2)
	_ = pipe.Process(ctx, cmd) // queued
	return cmd
}

// small leaves out keys whose values are too large to be ours. An embedded
// server does not know sizes.
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

// expires is when a key with this PTTL does, zero for never.
func expires(ttl *redis.DurationCmd) time.Time {
	if ttl.Err() != nil || ttl.Val() < 0 {
		return time.Time{}
	}
	return time.Now().Add(ttl.Val())
}
