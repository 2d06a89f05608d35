package admin

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
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

// bucketForm is debt:timestamp:token[:until], all in microseconds or parts of
// them, as decide.lua writes it.
var bucketForm = regexp.MustCompile(`^(\d{1,16}):(\d{1,16}):(\d{1,16})(?::(\d{1,16}))?$`)

const maxBlocked = 2000 // keys that are looked at for one page of blocked clients

func (p *Panel) limitsPage(w http.ResponseWriter, r *http.Request) {
	conn, l, err := p.list(r, listed{"limits", "ratelimit:v1:", "*", limitKind})
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
		return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(a.Key, b.Key))
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
	type asked struct {
		bucket             *redis.StringCmd
		fields, held, size *redis.IntCmd
		ttl                *redis.DurationCmd
		slots              *redis.MapStringStringCmd
		places             *redis.ZSliceCmd
	}
	all, now := make([]asked, len(keys)), time.Now()
	err := ask(ctx, rdb, func(pipe redis.Pipeliner) {
		for i, key := range keys {
			all[i] = asked{bucket: pipe.GetRange(ctx, key, 0, 127), fields: pipe.HLen(ctx, key), size: sizeOf(ctx, pipe, key),
				held: pipe.ZCount(ctx, key, "("+strconv.FormatInt(now.UnixMicro(), 10), "+inf"), ttl: pipe.PTTL(ctx, key)}
		}
	})
	if err == nil {
		err = ask(ctx, rdb, func(pipe redis.Pipeliner) {
			for i, key := range keys {
				if n := all[i].fields; n.Err() == nil && n.Val() > 0 && n.Val() < 256 && all[i].size.Val() <= readable {
					all[i].slots = pipe.HGetAll(ctx, key)
				}
				if n := all[i].held; n.Err() == nil && n.Val() > 0 && n.Val() < 256 {
					all[i].places = pipe.ZRangeByScoreWithScores(ctx, key, &redis.ZRangeBy{Min: "(" + strconv.FormatInt(now.UnixMicro(), 10), Max: "+inf"})
				}
			}
		})
	}
	if err != nil {
		return nil, err
	}
	var rows []limitRow
	for i, key := range keys {
		a := all[i]
		if a.ttl.Val() == -2 { // gone
			continue
		}
		o, _ := p.ownerOf(key)
		row := limitRow{Key: key, Link: link("key", "conn", conn, "key", key), Policy: o.Name, Client: o.Hash, Free: expires(a.ttl), Kind: "unknown"}
		until := ""
		switch {
		case a.bucket.Err() == nil:
			row.Kind = "bucket"
			row.Used, until = bucket(a.bucket.Val(), now, a.ttl.Val())
		case a.fields.Err() == nil:
			row.Kind = "window"
			if a.slots == nil { // too large to be one
				break
			}
			for slot, n := range a.slots.Val() {
				if slot == "until" {
					until = n
				} else if c, err := strconv.ParseInt(n, 10, 64); err == nil && slot != "from" {
					row.Used += float64(c)
				}
			}
		case a.held.Err() == nil:
			row.Kind, row.Used = "places", float64(a.held.Val())
			if a.places == nil {
				break
			}
			for _, z := range a.places.Val() {
				if z.Member == "until" { // of a block, and no place
					row.Used--
					until = strconv.FormatFloat(z.Score, 'f', 0, 64)
				}
			}
		}
		if us, err := strconv.ParseInt(until, 10, 64); err == nil && us > now.UnixMicro() {
			row.Blocked, row.Until = true, time.UnixMicro(us)
		}
		row.Confirm = link("confirm", "action", "unblock", "conn", conn, "key", key)
		rows = append(rows, row)
	}
	return rows, nil
}

// bucket reads the state of a bucket. How fast it drains is not in it, but it
// is empty of debt when the key ends.
func bucket(value string, now time.Time, ttl time.Duration) (used float64, until string) {
	m := bucketForm.FindStringSubmatch(value)
	if m == nil {
		return 0, ""
	}
	debt, _ := strconv.ParseFloat(m[1], 64)
	at, _ := strconv.ParseInt(m[2], 10, 64)
	token, _ := strconv.ParseFloat(m[3], 64)
	if token <= 0 {
		return 0, m[4]
	}
	used = debt / token
	if gone := now.Sub(time.UnixMicro(at)); m[4] == "" && gone > 0 && ttl > 0 {
		used *= float64(ttl) / float64(ttl+gone)
	}
	return used, m[4]
}

var limitForm = regexp.MustCompile(`^ratelimit:v1:([A-Za-z0-9._:*/-]{1,64}):\{([0-9a-f]{32})\}$`)

// limitKey reads the key of a rate limit.
func limitKey(key string) (owner, bool) {
	m := limitForm.FindStringSubmatch(key)
	if m == nil {
		return owner{}, false
	}
	return owner{Kind: limitKind, Page: "limits", Name: m[1], Hash: m[2]}, true
}
