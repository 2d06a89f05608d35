package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redishttp/redishttp/lockmw"
)

// actions are all writes of the panel.
var actions = map[string]action{
	"delete": {Title: "Delete a key", Button: "Delete it", Needs: []string{"key"}, Back: "keys", Done: "The key was deleted.",
		Warn: "The value is gone for good.", do: (*Panel).deleteKey},
	"unblock": {Title: "Unblock a client", Button: "Unblock", Needs: []string{"key"}, Back: "limits", Done: "The client was unblocked.",
		Warn: "All limits of this client begin anew. Instances that have just refused it may do so for a second more.", do: (*Panel).unblock},
	"reset": {Title: "Unblock a client", Button: "Unblock", Needs: []string{"client", "label"}, Back: "limits", Done: "The client was unblocked.",
		Warn: "All limits of this client begin anew. Other instances may refuse it for a second more.", do: (*Panel).reset},
	"block": {Title: "Block a client", Button: "Block", Needs: []string{"client", "label", "for"}, Back: "limits", Done: "The client was blocked.",
		Warn: "All its requests are refused until then.", do: (*Panel).block},
	"revoke": {Title: "Revoke a session", Button: "Revoke", Needs: []string{"user", "label", "handle"}, Back: "sessions", Done: "The session was revoked.",
		Warn: "The user is logged out there.", do: (*Panel).revoke},
	"revoke-all": {Title: "Revoke all sessions of a user", Button: "Revoke all", Needs: []string{"user", "label"}, Back: "sessions", Done: "All sessions of the user were revoked.",
		Warn: "The user is logged out everywhere.", do: (*Panel).revokeAll},
	"purge": {Title: "Purge a URL", Button: "Purge", Needs: []string{"url", "label"}, Takes: []string{"soft"}, Back: "cache", Done: "The URL was purged.",
		Warn: "All variants of the response are made anew when they are asked for.", do: (*Panel).purge},
	"purge-tag": {Title: "Purge a tag", Button: "Purge", Needs: []string{"tag", "label"}, Takes: []string{"soft"}, Back: "cache", Done: "The tag was purged.",
		Warn: "Everything that carries it is made anew when it is asked for.", do: (*Panel).purgeTag},
	"purge-all": {Title: "Purge the whole cache", Button: "Purge everything", Needs: []string{"label"}, Back: "cache", Done: "The cache was purged.",
		Warn: "Every response is made anew when it is asked for: all that load reaches the handlers.", do: (*Panel).purgeAll},
	"release": {Title: "Take a lock from its holder", Button: "Take it away", Needs: []string{"key", "owner"}, Back: "locks", Done: "The lock was taken from its holder.",
		Warn: "The holder hears of it but may still be at work while the next begins. Only a store that checks the fence is safe.", do: (*Panel).release},
}

var errGone = fmt.Errorf("%w: it has changed meanwhile, nothing was done", errBad)

// allowed reports whether a write may be done at all: the keys of some things
// must not just be deleted.
func (p *Panel) allowed(c change) error {
	if _, err := p.conns.get(c.Get("conn")); err != nil {
		return err
	}
	switch c.Get("action") {
	case "delete":
		if reason := p.keeps(c.Get("key")); reason != "" {
			return fmt.Errorf("%w: %s", errBad, reason)
		}
	case "unblock":
		if o, ok := p.ownerOf(c.Get("key")); !ok || o.Kind != limitKind {
			return fmt.Errorf("%w: no rate limit", errBad)
		}
	}
	return nil
}

// keeps says why a key is not deleted here, "" if it may be.
func (p *Panel) keeps(key string) string {
	o, _ := p.ownerOf(key)
	switch o.Kind {
	case lockKind, lockPart:
		return "a lock that is deleted may be held twice; take it from its holder instead"
	case jobKind, jobPart:
		return "a job whose state is deleted would run again, perhaps twice at once"
	case userKind:
		return "without it the user's sessions could not be revoked together; revoke them instead"
	}
	return ""
}

func (p *Panel) deleteKey(ctx context.Context, c change) error {
	conn, err := p.conns.get(c.Get("conn"))
	if err != nil {
		return err
	}
	n, err := conn.Client().Unlink(ctx, c.Get("key")).Result()
	if err == nil && n == 0 {
		return errGone
	}
	return err
}

// unblock deletes all that counts a client, as Reset of its limiter does.
func (p *Panel) unblock(ctx context.Context, c change) error {
	conn, err := p.conns.get(c.Get("conn"))
	if err != nil {
		return err
	}
	key := c.Get("key")
	keys, tag := []string{key}, key[strings.LastIndexByte(key, '{'):]
	for _, o := range of(p.limiters, conn.Name()) {
		var all []string
		mine := false
		for _, other := range o.it.Keys("") { // the same policies, this client
			all = append(all, other[:strings.LastIndexByte(other, '{')]+tag)
			mine = mine || all[len(all)-1] == key
		}
		if mine {
			keys = append(keys, all...)
		}
	}
	return conn.Client().Del(ctx, keys...).Err() // of one slot
}

var errNotRegistered = fmt.Errorf("%w: it is not registered with the panel", errBad)

// registered finds what the application has registered under the label of a
// change.
func registered[T any](all []owned[T], c change) (T, error) {
	for _, o := range all {
		if o.conn == c.Get("conn") && o.label == c.Get("label") {
			return o.it, nil
		}
	}
	var none T
	return none, errNotRegistered
}

func (p *Panel) reset(ctx context.Context, c change) error {
	l, err := registered(p.limiters, c)
	if err != nil {
		return err
	}
	return l.Reset(ctx, c.Get("client"))
}

const longestBlock = 30 * 24 * time.Hour

func (p *Panel) block(ctx context.Context, c change) error {
	l, err := registered(p.limiters, c)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(c.Get("for"))
	if err != nil || d <= 0 || d > longestBlock {
		return fmt.Errorf("%w: a block lasts up to 720h, like 15m", errBad)
	}
	return l.Block(ctx, c.Get("client"), d)
}

func (p *Panel) revoke(ctx context.Context, c change) error {
	m, err := registered(p.sessions, c)
	if err != nil {
		return err
	}
	return m.Revoke(ctx, c.Get("user"), c.Get("handle"))
}

func (p *Panel) revokeAll(ctx context.Context, c change) error {
	m, err := registered(p.sessions, c)
	if err != nil {
		return err
	}
	_, err = m.RevokeAll(ctx, c.Get("user"))
	return err
}

func (p *Panel) purge(ctx context.Context, c change) error {
	responses, err := registered(p.caches, c)
	if err != nil {
		return err
	}
	if c.Get("soft") != "" {
		return responses.SoftPurge(ctx, c.Get("url"))
	}
	return responses.Purge(ctx, c.Get("url"))
}

func (p *Panel) purgeTag(ctx context.Context, c change) error {
	responses, err := registered(p.caches, c)
	if err != nil {
		return err
	}
	if c.Get("soft") != "" {
		return responses.SoftPurgeTags(ctx, c.Get("tag"))
	}
	return responses.PurgeTags(ctx, c.Get("tag"))
}

func (p *Panel) purgeAll(ctx context.Context, c change) error {
	responses, err := registered(p.caches, c)
	if err != nil {
		return err
	}
	return responses.PurgeAll(ctx)
}

// lockerOf is the Locker that can take the lock at key from its holder.
func (p *Panel) lockerOf(conn, key string) (*lockmw.Locker, bool) {
	for _, o := range of(p.lockers, conn) {
		if o.it.CanForceRelease(key) {
			return o.it, true
		}
	}
	return nil, false
}

func (p *Panel) release(ctx context.Context, c change) error {
	key := c.Get("key")
	l, ok := p.lockerOf(c.Get("conn"), key)
	if !ok {
		return errNotRegistered
	}
	done, err := l.ForceRelease(ctx, key, c.Get("owner"))
	if err == nil && !done {
		return errGone
	}
	return err
}
