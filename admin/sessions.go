package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/session"
)

// sessionRow is a session without what it holds.
type sessionRow struct {
	Key, Link string
	Handle    string // the beginning of the token's hash
	Known     bool   // the rest was read
	User      string
	Address   string
	Agent     string
	Created   time.Time
	Seen      time.Time
	Until     time.Time
	Size      int64
	Confirm   string
}

type sessionsView struct {
	listing
	Sessions []sessionRow
	Count    int
	Counted  bool // all of them
	Labels   []string
	User     string // that was asked for
	All      []userAll
}

// userAll leads to the end of all sessions of a user.
type userAll struct{ Label, Link string }

func (p *Panel) sessionsPage(w http.ResponseWriter, r *http.Request) {
	conn, l, err := p.list(r, listed{"sessions", session.RedisKeyPrefix, "*", sessionKind})
	if err != nil {
		p.failed(w, r, err)
		return
	}
	v := sessionsView{listing: l, User: r.URL.Query().Get("user")}
	for _, o := range of(p.sessions, conn.Name()) {
		v.Labels = append(v.Labels, o.label)
	}
	switch {
	case v.User != "" && len(v.Labels) > 0:
		v.Next, v.Found.Next = "", ""
		err = p.ofUser(r.Context(), &v)
	default:
		if v.Count, v.Counted, err = p.tally(r.Context(), conn, escapeGlob(l.Source)+"*", sessionKind); err == nil {
			v.Sessions, err = p.readSessions(r.Context(), conn.Name(), conn.Client(), l.Found.Keys[:min(len(l.Found.Keys), 2*listPage)])
		}
	}
	if err != nil {
		p.failed(w, r, err)
		return
	}
	v.Rows = len(v.Sessions)
	p.show(w, r, page{View: "sessions", Title: "Sessions", Here: "sessions", Conn: conn.Name(), Body: v})
}

// ofUser asks the managers for the sessions of one user.
func (p *Panel) ofUser(ctx context.Context, v *sessionsView) error {
	for _, o := range of(p.sessions, v.Conn) {
		devices, err := o.it.Sessions(ctx, v.User)
		if err != nil {
			return err
		}
		for _, d := range devices {
			v.Sessions = append(v.Sessions, sessionRow{
				Handle: d.Handle, Known: true, User: v.User, Address: d.Address, Agent: d.UserAgent, Created: d.Created,
				Seen: d.LastSeen, Until: d.Deadline, Size: -1,
				Confirm: link("confirm", "action", "revoke", "conn", v.Conn, "label", o.label, "user", v.User, "handle", d.Handle),
			})
		}
		if len(devices) > 0 {
			v.All = append(v.All, userAll{o.label, link("confirm", "action", "revoke-all", "conn", v.Conn, "label", o.label, "user", v.User)})
		}
	}
	return nil
}

// managerOf is the one that keeps the session of a key.
func (p *Panel) managerOf(conn, key string) (*session.Manager, string, bool) {
	for _, o := range of(p.sessions, conn) {
		own, _ := o.it.KeyPrefixes()
		if hash, ok := strings.CutPrefix(key, own); ok {
			return o.it, hash, true
		}
	}
	return nil, "", false
}

// inspect reads what managers can of sessions, in one round trip for each, and
// returns it by key.
func (p *Panel) inspect(ctx context.Context, conn string, keys []string, sizes []*redis.IntCmd) map[string]session.Device {
	hashes, prefixes := map[*session.Manager][]string{}, map[*session.Manager]string{}
	for i, key := range keys {
		// What has another type, or is large, is no session of the manager's.
		if m, hash, ok := p.managerOf(conn, key); ok && sizes[i].Err() == nil && sizes[i].Val() <= readable {
			hashes[m], prefixes[m] = append(hashes[m], hash), strings.TrimSuffix(key, hash)
		}
	}
	known := map[string]session.Device{}
	for m, of := range hashes {
		all, _ := m.Inspect(ctx, of...)
		for hash, s := range all {
			known[prefixes[m]+hash] = s
		}
	}
	return known
}

func (p *Panel) readSessions(ctx context.Context, conn string, rdb redis.UniversalClient, keys []string) ([]sessionRow, error) {
	sizes, ttls := make([]*redis.IntCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	err := ask(ctx, rdb, func(pipe redis.Pipeliner) {
		for i, key := range keys {
			sizes[i], ttls[i] = pipe.StrLen(ctx, key), pipe.PTTL(ctx, key)
		}
	})
	if err != nil {
		return nil, err
	}
	known := p.inspect(ctx, conn, keys, sizes)
	var rows []sessionRow
	for i, key := range keys {
		if ttls[i].Val() == -2 {
			continue
		}
		o, _ := p.ownerOf(key)
		row := sessionRow{
			Key: key, Link: link("key", "conn", conn, "key", key), Handle: cut(o.Hash, 16), Until: expires(ttls[i]), Size: sizes[i].Val(),
			Confirm: link("confirm", "action", "delete", "conn", conn, "key", key),
		}
		if s, ok := known[key]; ok { // one that cannot be read is listed all the same
			row.Known, row.User, row.Address, row.Agent, row.Created, row.Seen = true, s.User, s.Address, s.UserAgent, s.Created, s.LastSeen
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b sessionRow) int { return b.Seen.Compare(a.Seen) })
	return rows, nil
}
