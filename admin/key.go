package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
)

// keyView is the data of a key's page.
type keyView struct {
	keyRow
	// Name is the key itself, for forms; "" if it holds a token.
	Name string
	// Expires is when the key does, the zero time for never.
	Expires time.Time
	// Slot is the hash slot on a cluster, -1 elsewhere.
	Slot int64
	// Idle is how long the key was not used, -1 with an LFU policy, which does not
	// record it.
	Idle    time.Duration
	Preview preview
	// First and Next are links to the first and the next page of the value.
	First string
	Next  string
	// Decoded is what the package that wrote the key says of it, nil for others.
	Decoded *decoded
	// Delete leads to the confirmation; if it is "", Keeps says why.
	Delete string
	Keeps  string
	// Error is that of the preview.
	Error string
}

// keyPage shows one key: what Redis says of it, a preview of its value, and what it
// means if a package of this module wrote it.
func (p *Panel) keyPage(w http.ResponseWriter, r *http.Request) {
	conn, err := p.conn(r)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	key := r.URL.Query().Get("key")
	v, err := p.viewKey(r.Context(), conn, key, r.URL.Query().Get("from"))
	if err != nil {
		p.failed(w, r, err)
		return
	}
	trail := []crumb{{conn.Name(), link("connection", "conn", conn.Name())}, {"Keys", link("keys", "conn", conn.Name())}}
	if v == nil {
		p.show(w, r, page{
			View: "error", Status: http.StatusNotFound, Title: "No such key", Here: "keys", Conn: conn.Name(), Trail: trail,
			Body: "There is no key " + cut(p.mask(key), shownKey) + ". It may have expired, or been deleted.",
		})
		return
	}
	p.show(w, r, page{View: "key", Title: v.Key, Here: "keys", Conn: conn.Name(), Trail: trail, Body: v})
}

// viewKey reads a key. It returns nil if there is none. An error of the preview is
// shown beside the rest.
func (p *Panel) viewKey(ctx context.Context, conn *connect.Conn, key, from string) (*keyView, error) {
	if key == "" || len(key) > maxKey {
		return nil, fmt.Errorf("%w: no name of a key", errBad)
	}
	rdb := conn.Client()
	rows, err := p.rows(ctx, conn.Name(), rdb, []string{key})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	v := &keyView{keyRow: rows[0], Slot: -1, Idle: -1}
	if v.Key == key {
		v.Name = key
	}
	if v.TTL >= 0 {
		v.Expires = time.Now().Add(v.TTL)
	}
	idle := redis.NewDurationCmd(ctx, time.Second, "object", "idletime", key)
	idle.SetFirstKeyPos(2)
	if rdb.Process(ctx, idle) == nil { // not with an LFU policy
		v.Idle = idle.Val()
	}
	if conn.Mode() == connect.Cluster {
		if slot, err := rdb.ClusterKeySlot(ctx, key).Result(); err == nil {
			v.Slot = slot
		}
	}
	if v.Preview, err = p.preview(ctx, rdb, key, v.keyRow, from); err != nil {
		v.Error = err.Error()
	}
	if v.Decoded, err = p.decode(ctx, conn, key); err != nil && v.Error == "" {
		v.Error = err.Error()
	}
	if v.Keeps = p.keeps(key); v.Keeps == "" && v.Name != "" {
		v.Delete = link("confirm", "action", "delete", "conn", conn.Name(), "key", key)
	}
	if from != "" {
		v.First = link("key", "conn", conn.Name(), "key", key)
	}
	if v.Preview.Next != "" {
		v.Next = link("key", "conn", conn.Name(), "key", key, "from", v.Preview.Next)
	}
	return v, nil
}
