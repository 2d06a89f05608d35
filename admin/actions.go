package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/redishttp/redishttp/lockmw"
)

// actions are all writes of the panel, by the parameter "action".
var actions = map[string]action{
	"delete": {
		Title: "Delete a key", Button: "Delete it", Needs: []string{"key"}, Back: "keys", Done: "The key was deleted.",
		Warn: "The value cannot be restored.", do: (*Panel).deleteKey,
	},
	"unblock": {
		Title: "Unblock a client", Button: "Unblock", Needs: []string{"key"}, Back: "limits", Done: "The client was unblocked.",
		Warn: "All limits of this client start again at zero. Instances that have just rejected it may do so for one more second.", do: (*Panel).unblock,
	},
	"reset": {
		Title: "Unblock a client", Button: "Unblock", Needs: []string{"client", "label"}, Back: "limits", Done: "The client was unblocked.",
		Warn: "All limits of this client start again at zero. Other instances may reject it for one more second.", do: (*Panel).reset,
	},
	"block": {
		Title: "Block a client", Button: "Block", Needs: []string{"client", "label", "for"}, Back: "limits", Done: "The client was blocked.",
		Warn: "All of its requests are rejected until then.", do: (*Panel).block,
	},
	"revoke": {
		Title: "Revoke a session", Button: "Revoke", Needs: []string{"user", "label", "handle"}, Back: "sessions", Done: "The session was revoked.",
		Warn: "The user is logged out there.", do: (*Panel).revoke,
	},
	"revoke-all": {
		Title: "Revoke all sessions of a user", Button: "Revoke all", Needs: []string{"user", "label"}, Back: "sessions", Done: "All sessions of the user were revoked.",
		Warn: "The user is logged out everywhere.", do: (*Panel).revokeAll,
	},
	"purge": {
		Title: "Purge a URL", Button: "Purge", Needs: []string{"url", "label"}, Takes: []string{"soft"}, Back: "cache", Done: "The URL was purged.",
		Warn: "All variants of the response are generated again on their next request.", do: (*Panel).purge,
	},
	"purge-tag": {
		Title: "Purge a tag", Button: "Purge", Needs: []string{"tag", "label"}, Takes: []string{"soft"}, Back: "cache", Done: "The tag was purged.",
		Warn: "All responses that carry it are generated again on their next request.", do: (*Panel).purgeTag,
	},
	"purge-all": {
		Title: "Purge the whole cache", Button: "Purge everything", Needs: []string{"label"}, Back: "cache", Done: "The cache was purged.",
		Warn: "Every response is generated again on its next request: the handlers get all of that load.", do: (*Panel).purgeAll,
	},
	"release": {
		Title: "Take a lock from its holder", Button: "Take it away", Needs: []string{"key", "owner"}, Back: "locks", Done: "The lock was taken from its holder.",
		Warn: "The holder is notified, but may still be working when the next one starts. Only a store that checks the fence is safe.", do: (*Panel).release,
	},
}

// errGone means that the confirmed state is not the present one.
var errGone = fmt.Errorf("%w: it has changed since then, nothing was done", errBad)

// allowed returns an error for a write that must not be done: the connection is
// unknown, or deleting the key would break a promise of the package that wrote it.
// It is called for the confirmation and again for the write.
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

// keeps says why a key must not be deleted here, or returns "". There is always
// another action that does what the operator wants.
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

// deleteKey deletes one key. UNLINK frees a large value without blocking Redis.
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

// unblock deletes the counters of a client in all limits of its limiter, as
// Limiter.Reset does. The client's name is not known here, only its hash. Without a
// registered limiter it deletes the one counter.
func (p *Panel) unblock(ctx context.Context, c change) error {
	conn, err := p.conns.get(c.Get("conn"))
	if err != nil {
		return err
	}
	key := c.Get("key")
	keys := []string{key}
	for _, o := range of(p.limiters, conn.Name()) {
		keys = append(keys, o.it.Siblings(key)...)
	}
	return conn.Client().Del(ctx, keys...).Err() // of one slot
}

// errNotRegistered means that no option has registered what the write needs.
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

// reset unblocks a client by its name, through the limiter.
func (p *Panel) reset(ctx context.Context, c change) error {
	l, err := registered(p.limiters, c)
	if err != nil {
		return err
	}
	return l.Reset(ctx, c.Get("client"))
}

// longestBlock bounds what a form can ask for.
const longestBlock = 30 * 24 * time.Hour

// block rejects a client for a while, through the limiter.
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

// revoke ends one session of a user.
func (p *Panel) revoke(ctx context.Context, c change) error {
	m, err := registered(p.sessions, c)
	if err != nil {
		return err
	}
	return m.Revoke(ctx, c.Get("user"), c.Get("handle"))
}

// revokeAll ends all sessions of a user.
func (p *Panel) revokeAll(ctx context.Context, c change) error {
	m, err := registered(p.sessions, c)
	if err != nil {
		return err
	}
	_, err = m.RevokeAll(ctx, c.Get("user"))
	return err
}

// purge invalidates a URL, or marks it stale.
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

// purgeTag invalidates all responses with a tag, or marks them stale.
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

// purgeAll invalidates the whole cache.
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

// release takes a lock from one holder. The confirmation names the owner, so a lock
// that has changed hands since then is not released.
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
