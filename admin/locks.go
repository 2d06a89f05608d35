package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/lockmw"
)

type locksView struct {
	listing
	Locks  []lockRow
	Labels []string
	Key    string // that was asked for
}

func (p *Panel) locksPage(w http.ResponseWriter, r *http.Request) {
	conn, l, err := p.list(r, listed{"locks", lockmw.RedisKeyPrefix, "*", lockKind})
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
		at := o.it.RedisKey(v.Key)
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

// locks reads the state of locks, in one round trip.
func (p *Panel) locks(ctx context.Context, conn string, rdb redis.UniversalClient, keys []string) ([]lockRow, error) {
	started := time.Now()
	infos, err := lockmw.Inspect(ctx, rdb, keys...)
	if err != nil {
		return nil, err
	}
	var rows []lockRow
	for i, info := range infos {
		if info.Key == "" { // it has gone, or has another type
			continue
		}
		o, _ := p.ownerOf(keys[i])
		row := lockRow{Key: keys[i], Link: link("key", "conn", conn, "key", keys[i]), Name: o.Name, Hash: o.Hash}.of(info, started)
		if _, ok := p.lockerOf(conn, row.Key); ok {
			for i, h := range row.Holders {
				row.Holders[i].Confirm = link("confirm", "action", "release", "conn", conn, "key", row.Key, "owner", h.Owner)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}
