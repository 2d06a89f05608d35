package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
)

//go:embed say.lua
var saySource string

var sayScript = redis.NewScriptServerSHA(saySource)

const (
	streamTTL = 30 * 24 * time.Hour
	nonceTTL  = 10 * time.Minute
	batch     = 200 // entries that are read at once
)

// stream is the messages of a room in Redis.
type stream struct {
	rdb     redis.UniversalClient
	room    string
	key     func(part string) string // all in one slot
	bell    string                   // channel that names rooms with something new
	history int
	call    time.Duration // for each of the calls below
}

func newStream(conn *connect.Conn, room string, c config) *stream {
	return &stream{
		rdb: conn.Client(), room: room, bell: bell(conn), history: c.history, call: c.call,
		key: func(part string) string { return conn.Key("chat", "v1", "{"+room+"}", part) },
	}
}

func bell(conn *connect.Conn) string { return conn.Key("chat", "v1", "bell") }

// say adds a message, in one round trip. seen is the last id that this instance
// has read; the new one is after it.
func (s *stream) say(ctx context.Context, by author, d draft, seen id) (at string, before bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.call)
	defer cancel()
	sum := sha256.Sum256([]byte(by.From + "\n" + d.Nonce))
	keys := []string{s.key("messages"), s.key("said:" + hex.EncodeToString(sum[:16]))}
	reply, err := sayScript.Run(ctx, s.rdb, keys, s.room, by.From, by.Name, d.Text, seen.ms,
		s.history, streamTTL.Milliseconds(), nonceTTL.Milliseconds(), s.bell).Slice()
	if err != nil {
		return "", false, fmt.Errorf("chat: say: %w", err)
	}
	if len(reply) == 2 {
		at, isString := reply[0].(string)
		again, isInt := reply[1].(int64)
		if isString && isInt {
			return at, again == 1, nil
		}
	}
	return "", false, errors.New("chat: say: the script's reply is malformed")
}

// after returns the next messages after an id, at most a batch of them.
func (s *stream) after(ctx context.Context, from id) ([]message, error) {
	ctx, cancel := context.WithTimeout(ctx, s.call)
	defer cancel()
	return decodeAll(s.rdb.XRangeN(ctx, s.key("messages"), "("+from.String(), "+", batch).Result())
}

// newest returns the last n messages, in order.
func (s *stream) newest(ctx context.Context, n int) ([]message, error) {
	ctx, cancel := context.WithTimeout(ctx, s.call)
	defer cancel()
	entries, err := s.rdb.XRevRangeN(ctx, s.key("messages"), "+", "-", int64(n)).Result()
	slices.Reverse(entries)
	return decodeAll(entries, err)
}

// find reports whether the stream has a message, and the id of its last.
func (s *stream) find(ctx context.Context, at id) (found bool, last id, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.call)
	defer cancel()
	var it, end *redis.XMessageSliceCmd
	if _, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		it = p.XRangeN(ctx, s.key("messages"), at.String(), at.String(), 1)
		end = p.XRevRangeN(ctx, s.key("messages"), "+", "-", 1)
		return nil
	}); err != nil {
		return false, id{}, fmt.Errorf("chat: find: %w", err)
	}
	if entries := end.Val(); len(entries) > 0 {
		if last, err = parseID(entries[0].ID); err != nil {
			return false, id{}, err
		}
	}
	return len(it.Val()) > 0, last, nil
}

func decodeAll(entries []redis.XMessage, err error) ([]message, error) {
	if err != nil {
		return nil, fmt.Errorf("chat: read: %w", err)
	}
	messages := make([]message, len(entries))
	for i, e := range entries {
		if messages[i], err = decode(e); err != nil {
			return nil, err
		}
	}
	return messages, nil
}
