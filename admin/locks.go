package admin

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// lockRow is the state of a lock.
type lockRow struct {
	Key, Link string
	Name      string
	Hash      string
	State     string // held, reserved or free
	Owner     string // one of the holders
	Holders   int
	Until     time.Time // end of the lease, which the holder may renew
	Fence     string
	Waiters   int64
	Confirm   string // link that takes it away, "" if that cannot be
}

type locksView struct {
	listing
	Locks  []lockRow
	Labels []string
	Key    string // that was asked for
}

// lockForm is <kind><owner>|<expiry>|<lease>|<first of 16 fences>|<queue>, as
// acquire.lua writes it; sharedForm <permits>|<longest lease>|<fence>|….
var (
	lockForm   = regexp.MustCompile(`^([hgrf])([^|]{0,200})\|(\d{1,16})\|(\d{1,16})\|(\d{1,20})\|`)
	sharedForm = regexp.MustCompile(`^\d{1,16}\|\d{1,16}\|(\d{1,20})\|\d{1,16}\|`)
)

// afterwards is how long the state of a lock outlives its lease.
const afterwards = 10 * time.Minute

func (p *Panel) locksPage(w http.ResponseWriter, r *http.Request) {
	conn, l, err := p.list(r, "locks", "lockmw:v1:", "*", lockKind)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	v := locksView{listing: l, Key: r.URL.Query().Get("lock")}
	keys := l.Found.Keys
	for _, o := range of(p.lockers, conn.Name()) {
		v.Labels = append(v.Labels, o.label)
		if v.Key != "" {
			if v.Next != "" || v.Found.Keys != nil {
				keys, v.Next, v.Found = nil, "", found{Total: v.Found.Total}
			}
			at := o.it.KeyPrefix() + "{" + hashed(v.Key) + "}"
			keys = append(keys, at, at+":m")
		}
	}
	if v.Locks, err = p.locks(r.Context(), conn.Name(), conn.Client(), keys); err != nil {
		p.failed(w, r, err)
		return
	}
	slices.SortStableFunc(v.Locks, func(a, b lockRow) int {
		order := []string{"held", "reserved", "free"}
		return cmp.Or(cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State)), cmp.Compare(b.Waiters, a.Waiters), cmp.Compare(a.Key, b.Key))
	})
	v.Rows = len(v.Locks)
	p.show(w, r, http.StatusOK, "locks", page{Title: "Locks", Here: "locks", Conn: conn.Name(), Body: v})
}

// locks reads the state of locks, in one round trip.
func (p *Panel) locks(ctx context.Context, conn string, rdb redis.UniversalClient, keys []string) ([]lockRow, error) {
	type asked struct {
		state   *redis.StringCmd
		ttl     *redis.DurationCmd
		waiters *redis.IntCmd
		holders *redis.ZSliceCmd
	}
	all, now := make([]asked, len(keys)), time.Now()
	err := ask(ctx, rdb, func(pipe redis.Pipeliner) {
		for i, key := range keys {
			base := strings.TrimSuffix(key, ":m")
			all[i] = asked{state: pipe.GetRange(ctx, key, 0, 511), ttl: pipe.PTTL(ctx, key), waiters: pipe.ZCard(ctx, base+":q")}
			if base != key {
				all[i].holders = pipe.ZRangeByScoreWithScores(ctx, base+":p", &redis.ZRangeBy{Min: "(" + strconv.FormatInt(now.UnixMilli(), 10), Max: "+inf", Count: 100})
			}
		}
	})
	if err != nil {
		return nil, err
	}
	var rows []lockRow
	for i, key := range keys {
		a := all[i]
		o, _ := p.ownerOf(key)
		row := lockRow{Key: key, Link: link("key", "conn", conn, "key", key), Name: o.Name, Hash: o.Hash, State: "free", Waiters: a.waiters.Val()}
		if a.holders != nil {
			m := sharedForm.FindStringSubmatch(a.state.Val())
			if m == nil {
				continue
			}
			row.Fence = m[1]
			if held := a.holders.Val(); len(held) > 0 {
				row.State, row.Holders = "held", len(held)
				row.Owner, _ = held[0].Member.(string)
				row.Until = time.UnixMilli(int64(held[0].Score))
			}
		} else {
			m := lockForm.FindStringSubmatch(a.state.Val())
			if m == nil {
				continue
			}
			row.plain(m, a.ttl.Val(), now)
		}
		if _, ok := p.lockerOf(conn, strings.TrimSuffix(key, ":m")); ok && row.State == "held" {
			row.Confirm = link("confirm", "action", "release", "conn", conn, "key", key, "owner", row.Owner)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// plain fills in a lock that only one can hold. By the TTL, for the clock of
// the server may not be ours.
func (row *lockRow) plain(m []string, ttl time.Duration, now time.Time) {
	row.Fence = m[5]
	if first, err := strconv.ParseUint(m[5], 10, 64); err == nil && first > 0 {
		row.Fence = strconv.FormatUint(first+15, 10)
	}
	left := ttl - afterwards
	if m[1] == "f" || left <= 0 {
		return
	}
	row.State, row.Owner, row.Until = "held", m[2], now.Add(left)
	if row.Holders = 1; m[1] == "r" {
		row.State, row.Holders = "reserved", 0
	}
}
