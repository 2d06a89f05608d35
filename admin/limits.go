package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/ratelimit"
)

// limitRow is one client's standing with one policy.
type limitRow struct {
	Key, Link string
	Policy    string
	Client    string // its hash
	Kind      string // bucket, window or places
	Used      float64
	Blocked   bool
	Until     time.Time // of the block
	Free      time.Time // when nothing is counted any more
	Confirm   string    // link that unblocks
}

type limitsView struct {
	listing
	Limits   []limitRow
	Show     string // blocked or all
	Labels   []string
	Client   string
	Searched bool // for a client
}

const maxBlocked = 2000 // keys that are looked at for one page of blocked clients

func (p *Panel) limitsPage(w http.ResponseWriter, r *http.Request) {
	conn, l, err := p.list(r, listed{"limits", ratelimit.RedisKeyPrefix, "*", limitKind})
	if err != nil {
		p.failed(w, r, err)
		return
	}
	v := limitsView{listing: l, Show: r.URL.Query().Get("show"), Client: r.URL.Query().Get("client")}
	keys, lent := l.Found.Keys, of(p.limiters, conn.Name())
	if v.Client != "" && len(lent) > 0 { // this client and no others
		keys, v.Searched, v.Found.Next, v.Next = nil, true, "", ""
	}
	for _, o := range lent {
		v.Labels = append(v.Labels, o.label)
		if v.Searched {
			keys = append(keys, o.it.Keys(v.Client)...)
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys) // two may count by one name
	if v.Limits, err = p.limits(r.Context(), conn.Name(), conn.Client(), keys); err == nil && v.Show == "blocked" && !v.Searched {
		err = p.onlyBlocked(r.Context(), conn, &v)
	}
	if err != nil {
		p.failed(w, r, err)
		return
	}
	slices.SortStableFunc(v.Limits, func(a, b limitRow) int {
		if a.Blocked != b.Blocked {
			return map[bool]int{true: -1, false: 1}[a.Blocked]
		}
		return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Policy, b.Policy))
	})
	v.Rows = len(v.Limits)
	p.show(w, r, page{View: "limits", Title: "Rate limits", Here: "limits", Conn: conn.Name(), Body: v})
}

// onlyBlocked leaves out who is not blocked. They are few, so it looks on while
// there is time.
func (p *Panel) onlyBlocked(ctx context.Context, conn *connect.Conn, v *limitsView) error {
	others := func(row limitRow) bool { return !row.Blocked }
	start, looked := time.Now(), len(v.Limits)
	v.Limits = slices.DeleteFunc(v.Limits, others)
	for v.Found.Next != "" && looked < maxBlocked && len(v.Limits) < listPage && time.Since(start) < scanTime {
		more, err := scan(ctx, conn, query{match: escapeGlob(v.Source) + "*", from: v.Found.Next, want: 500, keep: p.is(limitKind)})
		if err != nil {
			return err
		}
		rows, err := p.limits(ctx, conn.Name(), conn.Client(), more.Keys)
		if err != nil {
			return err
		}
		v.Limits = append(v.Limits, slices.DeleteFunc(rows, others)...)
		looked += len(more.Keys)
		v.Found.Next, v.Found.Looked = more.Next, v.Found.Looked+more.Looked
	}
	if v.Next = ""; v.Found.Next != "" {
		v.Next = link("limits", "conn", v.Conn, "source", v.Source, "show", "blocked", "cursor", v.Found.Next)
	}
	v.Took += time.Since(start)
	return nil
}

func (p *Panel) is(kind string) func(string) bool {
	return func(key string) bool { o, ok := p.ownerOf(key); return ok && o.Kind == kind }
}

// limits reads the state of rate limits, in two round trips.
func (p *Panel) limits(ctx context.Context, conn string, rdb redis.UniversalClient, keys []string) ([]limitRow, error) {
	all, err := ratelimit.Inspect(ctx, rdb, keys...)
	if err != nil {
		return nil, err
	}
	var rows []limitRow
	for _, key := range keys {
		o, _ := p.ownerOf(key)
		for _, st := range all[key] { // one for each policy that the key counts
			rows = append(rows, limitRow{
				Key: key, Link: link("key", "conn", conn, "key", key), Policy: cmp.Or(st.Policy, o.Name), Client: o.Hash, Kind: st.Kind, Used: st.Used,
				Blocked: !st.Blocked.IsZero(), Until: st.Blocked, Free: st.Expires,
				Confirm: link("confirm", "action", "unblock", "conn", conn, "key", key),
			})
		}
	}
	return rows, nil
}
