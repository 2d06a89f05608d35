package admin

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
)

// entryRow is a stored response.
type entryRow struct {
	cache.Entry
	Key, Link string
	Name      string // of the cache
	Variant   string
	Known     bool
	State     string // fresh, stale or purged
	Now       time.Duration
	Left      time.Duration // of its freshness
	Gone      time.Time     // when Redis drops it
	Confirm   string
}

type cacheView struct {
	listing
	Entries []entryRow
	Labels  []string
	URL     string // to explain
	Fields  string
	Answers []explained
	Purges  []purgeLinks
}

// purgeLinks lead to the confirmation of purges of one cache.
type purgeLinks struct{ Label, All string }

// explained is what one cache says about a request.
type explained struct {
	Label string
	Err   error
	cache.Explanation
}

// entryHead is how much of an entry is read: all before the body, mostly.
const entryHead = 16 << 10

func (p *Panel) cachePage(w http.ResponseWriter, r *http.Request) {
	conn, l, err := p.list(r, listed{"cache", cache.RedisKeyPrefix, cache.EntryPattern, cacheKind})
	if err != nil {
		p.failed(w, r, err)
		return
	}
	v := cacheView{listing: l, URL: r.URL.Query().Get("url"), Fields: r.URL.Query().Get("fields")}
	for _, o := range of(p.caches, conn.Name()) {
		v.Labels = append(v.Labels, o.label)
		v.Purges = append(v.Purges, purgeLinks{o.label, link("confirm", "action", "purge-all", "conn", conn.Name(), "label", o.label)})
		if v.URL == "" {
			continue
		}
		asked, err := request(r.Context(), v.URL, v.Fields)
		if err != nil {
			p.failed(w, r, err)
			return
		}
		x, err := o.it.Explain(r.Context(), asked)
		v.Answers = append(v.Answers, explained{o.label, err, x})
	}
	if v.Entries, err = p.entries(r.Context(), conn.Name(), conn.Client(), l.Found.Keys); err != nil {
		p.failed(w, r, err)
		return
	}
	slices.SortStableFunc(v.Entries, func(a, b entryRow) int { return cmp.Or(cmp.Compare(a.URL, b.URL), cmp.Compare(a.Variant, b.Variant)) })
	p.show(w, r, page{View: "cache", Title: "Cache", Here: "cache", Conn: conn.Name(), Body: v})
}

// request is the one to explain. It is not sent anywhere.
func request(ctx context.Context, raw, fields string) (*http.Request, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: not an absolute http or https URL", errBad)
	}
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, raw, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: not a URL", errBad)
	}
	asked.RequestURI = u.RequestURI()
	if u.Scheme == "https" {
		asked.TLS = &tls.ConnectionState{} // by which the cache tells schemes apart
	}
	if fields = strings.TrimSpace(fields); fields != "" {
		h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(fields + "\r\n\r\n"))).ReadMIMEHeader()
		if err != nil {
			return nil, fmt.Errorf("%w: header fields are written Name: value", errBad)
		}
		asked.Header = http.Header(h)
	}
	return asked, nil
}

// cacheOf is the one that a key belongs to.
func (p *Panel) cacheOf(conn, key string) (owned[*cache.Cache], bool) {
	for _, o := range of(p.caches, conn) {
		if strings.HasPrefix(key, o.it.KeyPrefix()) {
			return o, true
		}
	}
	return owned[*cache.Cache]{}, false
}

// entries reads what stands before the bodies, and then what the purge logs
// say of it.
func (p *Panel) entries(ctx context.Context, conn string, rdb redis.UniversalClient, keys []string) ([]entryRow, error) {
	heads, ttls := make([]*redis.StringCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	err := ask(ctx, rdb, func(pipe redis.Pipeliner) {
		for i, key := range keys {
			heads[i], ttls[i] = pipe.GetRange(ctx, key, 0, entryHead-1), pipe.PTTL(ctx, key)
		}
	})
	if err != nil {
		return nil, err
	}
	var rows []entryRow
	for i, key := range keys {
		if ttls[i].Val() == -2 {
			continue
		}
		o, _ := p.ownerOf(key)
		row := entryRow{
			Key: key, Link: link("key", "conn", conn, "key", key), Name: o.Name, Variant: key[strings.LastIndexByte(key, ':')+1:],
			Gone: expires(ttls[i]), State: "unknown", Confirm: link("confirm", "action", "delete", "conn", conn, "key", key),
		}
		if e, err := cache.DecodeEntry([]byte(heads[i].Val())); err == nil {
			since := e.Keep - ttls[i].Val()
			row.Entry, row.Known, row.Now, row.Left = e, true, e.Age+since, e.Fresh-since
			if row.State = "fresh"; row.Left <= 0 {
				row.State = "stale"
			}
			if c, ok := p.cacheOf(conn, key); ok && e.URL != "" {
				row.Confirm = link("confirm", "action", "purge", "conn", conn, "label", c.label, "url", e.URL)
			}
		}
		rows = append(rows, row)
	}
	return rows, p.checkPurged(ctx, rdb, rows)
}

// checkPurged finds the entries that are still in Redis but count no more.
func (p *Panel) checkPurged(ctx context.Context, rdb redis.UniversalClient, rows []entryRow) error {
	logs := make([]*redis.SliceCmd, len(rows))
	err := ask(ctx, rdb, func(pipe redis.Pipeliner) {
		for i, row := range rows {
			if at := strings.Index(row.Key, "}:e:"); row.Known && at > 0 {
				logs[i] = pipe.HMGet(ctx, row.Key[:at]+"}:log", row.PurgeFields()...)
			}
		}
	})
	for i := range rows {
		if logs[i] == nil {
			continue
		}
		switch hard, soft := rows[i].Purged(logs[i].Val()); {
		case hard:
			rows[i].State = "purged"
		case soft:
			rows[i].State = "stale"
		}
	}
	return err
}
