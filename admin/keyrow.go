package admin

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// keyRow is what Redis says of a key without its value. A number below 0 is not
// known.
type keyRow struct {
	Conn string
	// Key is the name without tokens.
	Key string
	// Link leads to the key's page, "" if it cannot be opened.
	Link string
	Type string
	// Encoding is how Redis stores the value, such as listpack.
	Encoding string
	// TTL is noTTL for a key that does not expire, unknownTTL if it is not known.
	TTL time.Duration
	// Memory is the size with all overhead, in bytes.
	Memory int64
	// Len is the number of elements, or of bytes of a string.
	Len int64
}

const (
	noTTL      time.Duration = -1
	unknownTTL time.Duration = -2
)

// maxKey is the longest key whose page can be opened, because the page's address
// holds the key.
const maxKey = 2000

// lengthOf is the command for the length of a value, by its type.
var lengthOf = map[string]string{"string": "strlen", "hash": "hlen", "list": "llen", "set": "scard", "zset": "zcard", "stream": "xlen"}

// rows asks about many keys in two round trips. It leaves out keys that no longer
// exist; what the user may not ask for is not known.
func (p *Panel) rows(ctx context.Context, conn string, rdb redis.UniversalClient, keys []string) ([]keyRow, error) {
	type asked struct {
		kind     *redis.StatusCmd
		ttl      *redis.DurationCmd
		memory   *redis.IntCmd
		encoding *redis.StringCmd
		length   *redis.IntCmd
	}
	all := make([]asked, len(keys))
	pipe := rdb.Pipeline()
	for i, key := range keys {
		all[i] = asked{kind: pipe.Type(ctx, key), ttl: pipe.PTTL(ctx, key)}
		all[i].memory = redis.NewIntCmd(ctx, "memory", "usage", key, "samples", 5)
		all[i].encoding = redis.NewStringCmd(ctx, "object", "encoding", key)
		all[i].memory.SetFirstKeyPos(2)
		all[i].encoding.SetFirstKeyPos(2)
		_ = pipe.Process(ctx, all[i].memory)
		_ = pipe.Process(ctx, all[i].encoding)
	}
	_, _ = pipe.Exec(ctx) // MEMORY and OBJECT may be forbidden; TYPE tells
	pipe = rdb.Pipeline()
	for i, key := range keys {
		if err := all[i].kind.Err(); err != nil {
			return nil, err
		}
		if name, ok := lengthOf[all[i].kind.Val()]; ok {
			all[i].length = redis.NewIntCmd(ctx, name, key)
			_ = pipe.Process(ctx, all[i].length)
		}
	}
	_, _ = pipe.Exec(ctx) // a key may have another type by now
	rows := make([]keyRow, 0, len(keys))
	for i, key := range keys {
		a := all[i]
		if a.kind.Val() == "none" {
			continue
		}
		row := keyRow{Conn: conn, Key: p.mask(key), Type: a.kind.Val(), TTL: a.ttl.Val(), Memory: -1, Len: -1, Encoding: a.encoding.Val()}
		switch {
		case a.ttl.Err() != nil:
			row.TTL = unknownTTL
		case row.TTL < 0:
			row.TTL = noTTL
		}
		if a.memory.Err() == nil {
			row.Memory = a.memory.Val()
		}
		if a.length != nil && a.length.Err() == nil {
			row.Len = a.length.Val()
		}
		if row.Key == key && len(key) <= maxKey {
			row.Link = link("key", "conn", conn, "key", key)
		}
		rows = append(rows, row)
	}
	return rows, nil
}
