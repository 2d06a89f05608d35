package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/lockmw/cronlock"
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
	Attempt   int
	Fence     uint64
	Err       string
}

type jobsView struct {
	listing
	Jobs []jobRow
}

func (p *Panel) cronPage(w http.ResponseWriter, r *http.Request) {
	conn, l, err := p.list(r, listed{"cron", cronlock.RedisKeyPrefix, "*", jobKind})
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
	keys, err := small(ctx, rdb, keys)
	if err != nil {
		return nil, err
	}
	all, err := cronlock.Inspect(ctx, rdb, keys...)
	if err != nil {
		return nil, err
	}
	var rows []jobRow
	for _, key := range keys {
		st, ok := all[key]
		if !ok {
			continue
		}
		o, _ := p.ownerOf(key)
		row := jobRow{
			Key: key, Link: link("key", "conn", conn, "key", key), Group: o.Name, Hash: o.Hash, Host: cut(st.Host, maxJobText),
			Tick: st.Tick, Started: st.Started, Finished: st.Finished, Attempt: st.Attempt, Fence: st.Fence, Err: cut(st.Err, maxJobText), Running: st.Running,
		}
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
