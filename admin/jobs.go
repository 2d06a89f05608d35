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
)

// jobRow is the state of a job of cronlock.
type jobRow struct {
	Key, Link string
	Name      string // "" if the application does not tell
	Group     string // of the runner
	Hash      string
	Running   bool
	Host      string
	Tick      time.Time
	Started   time.Time
	Finished  time.Time
	Took      time.Duration
	Attempt   int64
	Fence     string
	Err       string
}

type jobsView struct {
	listing
	Jobs []jobRow
}

func (p *Panel) cronPage(w http.ResponseWriter, r *http.Request) {
	conn, l, err := p.list(r, listed{"cron", "cron:v1:", "*", jobKind})
	if err != nil {
		p.failed(w, r, err)
		return
	}
	v := jobsView{listing: l}
	if v.Jobs, err = p.readJobs(r.Context(), conn.Name(), conn.Client(), l.Found.Keys); err != nil {
		p.failed(w, r, err)
		return
	}
	slices.SortStableFunc(v.Jobs, func(a, b jobRow) int { return cmp.Or(cmp.Compare(a.Name, b.Name), b.Started.Compare(a.Started)) })
	p.show(w, r, page{View: "cron", Title: "Jobs", Here: "cron", Conn: conn.Name(), Body: v})
}

const maxJobText = 4096 // bytes of a host or an error

func (p *Panel) readJobs(ctx context.Context, conn string, rdb redis.UniversalClient, keys []string) ([]jobRow, error) {
	fields := []string{"o", "x", "f", "last", "start", "done", "n", "host", "err"}
	keys, err := small(ctx, rdb, keys)
	if err != nil {
		return nil, err
	}
	all := make([]*redis.SliceCmd, len(keys))
	err = ask(ctx, rdb, func(pipe redis.Pipeliner) {
		for i, key := range keys {
			all[i] = pipe.HMGet(ctx, key, fields...)
		}
	})
	if err != nil {
		return nil, err
	}
	var rows []jobRow
	for i, key := range keys {
		v := all[i].Val()
		if len(v) != len(fields) {
			continue
		}
		text := func(i int) string { s, _ := v[i].(string); return cut(s, maxJobText) }
		at := func(i int) time.Time {
			if ms, err := strconv.ParseInt(text(i), 10, 64); err == nil && ms > 0 {
				return time.UnixMilli(ms)
			}
			return time.Time{}
		}
		o, _ := p.ownerOf(key)
		row := jobRow{
			Key: key, Link: link("key", "conn", conn, "key", key), Group: o.Name, Hash: o.Hash, Host: text(7), Tick: at(3), Started: at(4), Finished: at(5),
			Fence: text(2), Err: text(8), Running: text(0) != "" && at(1).After(time.Now()),
		}
		row.Attempt, _ = strconv.ParseInt(text(6), 10, 64)
		if row.Finished.After(row.Started) {
			row.Took = row.Finished.Sub(row.Started)
		}
		for _, j := range of(p.jobs, conn) {
			if j.it.Key() == key {
				row.Name = j.it.Name()
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

var jobForm = regexp.MustCompile(`^cron:v1:([^{}]{1,100}):\{([0-9a-f]{32})\}(:w)?$`)

// jobKey reads the key of a job, or of what belongs to one.
func jobKey(key string) (owner, bool) {
	m := jobForm.FindStringSubmatch(key)
	if m == nil {
		return owner{}, false
	}
	o := owner{Kind: jobKind, Page: "cron", Name: m[1], Hash: m[2]}
	if m[3] != "" {
		o.Kind = jobPart
	}
	return o, true
}
