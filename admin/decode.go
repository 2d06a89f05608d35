package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redishttp/redishttp/connect"
)

// decoded is what a key of this module means.
type decoded struct {
	Kind   string
	Page   string // link to all of its kind
	Facts  []fact
	Times  []moment
	Header []fact // of a cached response
	Values []fact // of a session, if they are shown
	// Holders have a lock.
	Holders []holder
	Button  string // of what can be done about it
	Link    string
}

type moment struct {
	Name string
	At   time.Time
}

func (d *decoded) say(name, text string) {
	if text != "" {
		d.Facts = append(d.Facts, fact{name, text})
	}
}

func (d *decoded) when(name string, at time.Time) {
	if !at.IsZero() {
		d.Times = append(d.Times, moment{name, at})
	}
}

// decode returns nil for a key that is none of this module's.
func (p *Panel) decode(ctx context.Context, conn *connect.Conn, key string) (*decoded, error) {
	o, ok := p.ownerOf(key)
	if !ok {
		return nil, nil
	}
	d := &decoded{Kind: o.Kind}
	if o.Page != "" {
		d.Page = link(o.Page, "conn", conn.Name())
	}
	var err error
	switch o.Kind {
	case limitKind:
		err = p.decodeLimit(ctx, conn, key, d)
	case lockKind:
		err = p.decodeLock(ctx, conn, key, d)
	case jobKind:
		err = p.decodeJob(ctx, conn, key, d)
	case cacheKind:
		err = p.decodeEntry(ctx, conn, key, d)
	case sessionKind:
		err = p.decodeSession(ctx, conn, key, d)
	case requestKind:
		err = decodeRequest(ctx, conn, key, d)
	default:
		d.say("Of", o.Name)
	}
	return d, err
}

func (p *Panel) decodeLimit(ctx context.Context, conn *connect.Conn, key string, d *decoded) error {
	rows, err := p.limits(ctx, conn.Name(), conn.Client(), []string{key})
	for i, r := range rows { // one for each policy
		if i == 0 {
			d.say("Client", r.Client)
		}
		d.say("Policy", r.Policy)
		d.say("Counted by", r.Kind)
		d.say("Used", strconv.FormatFloat(r.Used, 'f', 1, 64))
		if r.Blocked {
			d.when("Blocked until", r.Until)
		}
		d.when("All is free", r.Free)
		d.Button, d.Link = "Unblock", r.Confirm
	}
	return err
}

func (p *Panel) decodeLock(ctx context.Context, conn *connect.Conn, key string, d *decoded) error {
	rows, err := p.locks(ctx, conn.Name(), conn.Client(), []string{key})
	for _, r := range rows {
		d.say("Of", r.Name)
		d.say("State", r.State)
		d.say("Held by", r.Mode)
		if r.Grace {
			d.say("Clock", "it may have been set: the lock is not granted to others for one more lease")
		}
		d.say("Last fence", r.Fence)
		d.say("Instances that wait", strconv.FormatInt(r.Waiters, 10))
		if r.State == reserved {
			d.when("Reserved until", r.Until)
		}
		if d.Holders = r.Holders; r.Count > int64(len(r.Holders)) {
			d.say("Holders", count(r.Count))
		}
	}
	return err
}

func (p *Panel) decodeJob(ctx context.Context, conn *connect.Conn, key string, d *decoded) error {
	rows, err := p.readJobs(ctx, conn.Name(), conn.Client(), []string{key})
	for _, r := range rows {
		d.say("Job", r.Name)
		d.say("Of", r.Group)
		d.say("Last run by", r.Host)
		d.say("Fence", strconv.FormatUint(r.Fence, 10))
		d.say("Error", r.Err)
		d.when("Tick", r.Tick)
		d.when("Started", r.Started)
		d.when("Finished", r.Finished)
	}
	return err
}

func (p *Panel) decodeEntry(ctx context.Context, conn *connect.Conn, key string, d *decoded) error {
	rows, err := p.entries(ctx, conn.Name(), conn.Client(), []string{key})
	for _, r := range rows {
		d.say("Cache", r.Name)
		d.say("State", r.State)
		if !r.Known {
			continue
		}
		d.say("URL", r.URL)
		d.say("Besides", r.Extra)
		d.say("Variant", r.Variant)
		d.say("Status", strconv.Itoa(r.Status))
		d.say("Body", size(r.Size))
		d.say("Age", span(r.Now.Truncate(time.Second)))
		d.say("Fresh for", span(r.Left.Truncate(time.Second)))
		d.say("Tags", strings.Join(r.Tags, ", "))
		d.when("Dropped", r.Gone)
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			for _, v := range r.Header[name] {
				d.Header = append(d.Header, fact{name, v})
			}
		}
		if strings.Contains(r.Confirm, "action=purge") {
			d.Button, d.Link = "Purge", r.Confirm
		}
	}
	return err
}

func (p *Panel) decodeSession(ctx context.Context, conn *connect.Conn, key string, d *decoded) error {
	m, hash, ok := p.managerOf(conn.Name(), key)
	if !ok {
		return nil
	}
	if n, err := conn.Client().StrLen(ctx, key).Result(); err != nil || n > readable {
		return err
	}
	all, err := m.Inspect(ctx, hash)
	s, there := all[hash]
	if err != nil || !there {
		return err
	}
	if d.say("User", s.User); s.User == "" {
		d.say("User", "not logged in")
	}
	d.say("Address", s.Address)
	d.say("Browser", s.UserAgent)
	d.when("Created", s.Created)
	d.when("Last seen", s.LastSeen)
	d.when("Ends at the latest", s.Deadline)
	if !p.sessionValues || p.hides(key) != "" {
		d.say("Values", fmt.Sprintf("%d, not shown", len(s.Values)))
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Values)) {
		text, err := json.Marshal(s.Values[name])
		if err != nil { // not all Go values are JSON
			text = fmt.Append(nil, s.Values[name])
		}
		d.Values = append(d.Values, fact{name, cut(string(text), 4*previewText)})
	}
	return nil
}
