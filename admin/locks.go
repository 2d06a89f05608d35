package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

type locksView struct {
	listing
	Locks  []lockRow
	Labels []string
	Key    string // that was asked for
}

func (p *Panel) locksPage(w http.ResponseWriter, r *http.Request) {
	conn, l, err := p.list(r, listed{"locks", "lockmw:v1:", "*", lockKind})
	if err != nil {
		p.failed(w, r, err)
		return
	}
	v := locksView{listing: l, Key: r.URL.Query().Get("lock")}
	keys, lent := l.Found.Keys, of(p.lockers, conn.Name())
	if v.Key != "" && len(lent) > 0 { // this lock and no others
		keys, v.Next, v.Found = nil, "", found{Total: l.Found.Total}
	}
	for _, o := range lent {
		v.Labels = append(v.Labels, o.label)
		at := o.it.KeyPrefix() + "{" + hashed(v.Key) + "}"
		if v.Key != "" && !slices.Contains(keys, at) { // two may have one prefix
			keys = append(keys, at, at+":m")
		}
	}
	if v.Locks, err = p.locks(r.Context(), conn.Name(), conn.Client(), keys); err != nil {
		p.failed(w, r, err)
		return
	}
	slices.SortStableFunc(v.Locks, func(a, b lockRow) int {
		order := []string{held, reserved, lapsed, free}
		return cmp.Or(cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State)), cmp.Compare(b.Waiters, a.Waiters), cmp.Compare(a.Key, b.Key))
	})
	v.Rows = len(v.Locks)
	p.show(w, r, page{View: "locks", Title: "Locks", Here: "locks", Conn: conn.Name(), Body: v})
}

// maxHolders bounds how many of those that share a lock are shown.
const maxHolders = 50

// locks reads the state of locks, in one round trip.
func (p *Panel) locks(ctx context.Context, conn string, rdb redis.UniversalClient, keys []string) ([]lockRow, error) {
	states, started := make([]*redis.Cmd, len(keys)), time.Now()
	err := ask(ctx, rdb, func(pipe redis.Pipeliner) {
		for i, key := range keys {
			base := strings.TrimSuffix(key, ":m")
			states[i] = pipe.Eval(ctx, lockSource, []string{base, base + ":q", base + ":p", base + ":m"}, maxHolders)
		}
	})
	if err != nil {
		return nil, err
	}
	var rows []lockRow
	for i, key := range keys {
		reply, _ := states[i].Slice() // of a key that has gone, or has another type, there is nothing to say
		o, _ := p.ownerOf(key)
		row := lockRow{Key: key, Link: link("key", "conn", conn, "key", key), Name: o.Name, Hash: o.Hash, State: free}
		if !row.decode(reply, strings.HasSuffix(key, ":m"), started) {
			continue
		}
		if l, ok := p.lockerOf(conn, strings.TrimSuffix(key, ":m")); ok && l.CanForceRelease() {
			for i, h := range row.Holders {
				row.Holders[i].Confirm = link("confirm", "action", "release", "conn", conn, "key", key, "owner", h.Owner)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}
