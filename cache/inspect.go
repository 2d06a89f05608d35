package cache

import (
	"net/http"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// Entry is a stored response without its body, for operators' tools.
type Entry struct {
	URL    string // with the scheme of its key; "" if this package has not made the key
	Extra  string // what [WithVaryBy] added to it
	Status int
	Header http.Header
	Tags   []string
	Size   int64 // of the body, in bytes
	// Age was the response's when it was stored, Fresh for how long it was fresh
	// then; Stale is for how long it may be served after that, and Keep how long it
	// is stored in all.
	Age, Fresh, Stale, Keep time.Duration

	inc string
	seq int64
	url string // hash of the URL, by which it is purged
}

// DecodeEntry decodes the value of a key …:e:…; its beginning is enough: all
// before the body. It returns an error for anything else, and is safe for bytes
// from anywhere. It is for operators' tools.
func DecodeEntry(b []byte) (Entry, error) {
	head, err := store.DecodeHead(b)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{
		Status: head.Status, Header: head.Header, Tags: head.Tags, Size: head.Size, Age: head.Age, Fresh: head.Fresh,
		Stale: max(head.StaleWhileRevalidate, head.StaleIfError), Keep: head.Keep, inc: head.Inc, seq: head.Seq,
	}
	return e.named(head.Target), nil
}

// named is the entry with the URL of a primary key.
func (e Entry) named(target string) Entry {
	parts := cachekey.Split(target)
	if len(parts) == 2 {
		target, e.Extra = parts[0], parts[1]
		parts = cachekey.Split(target)
	}
	if e.url = cachekey.PurgeID(target); len(parts) == 4 {
		e.URL = parts[0] + "://" + parts[1] + parts[2] + parts[3]
	}
	return e
}

// PurgeFields returns the fields of the purge log that tell whether the entry
// is still valid, to be read with HMGET for [Entry.Purged]. The log is in the
// bucket of the entry; [Explanation].Log names it.
func (e Entry) PurgeFields() []string {
	fields := []string{"_inc", "_floor"}
	for _, soft := range []bool{false, true} {
		fields = append(fields, store.URLField(e.url, soft))
		for _, tag := range e.Tags {
			fields = append(fields, store.TagField(tag, soft))
		}
	}
	return fields
}

// Purged reports what the purge log says of the entry, by the values of
// PurgeFields as HMGET returns them: hard that it is invalidated, soft that it
// is stale. Another number of values reports neither.
func (e Entry) Purged(values []any) (hard, soft bool) {
	if len(values) != 4+2*len(e.Tags) {
		return false, false
	}
	after := func(v any) bool {
		s, _ := v.(string)
		n, _ := strconv.ParseInt(s, 10, 64)
		return n > e.seq
	}
	inc, _ := values[0].(string)
	hard = inc != e.inc
	for i, v := range values[1:] {
		if i < 2+len(e.Tags) {
			hard = hard || after(v)
		} else {
			soft = soft || after(v)
		}
	}
	return hard, soft
}

// KeyPrefix returns what all keys of the cache begin with: <prefix>:v2:<name>:.
// It is for operators' tools.
func (c *Cache) KeyPrefix() string { return c.settings.Prefix + ":v2:" + c.settings.Name + ":" }
