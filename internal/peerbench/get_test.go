package peerbench

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	errMiss  = errors.New("the handler was called, so this was no hit")
	errHit   = errors.New("the handler was not called, so this was no miss")
	errValue = errors.New("another value")
)

// get is one bare GET of go-redis: the base of most scenarios.
func get(size int) contender {
	return contender{"GET", func(e *env) begin {
		rdb, key, body := e.goredis(), "bare:get", random(size)
		e.set(rdb, key, body)
		return func(int) func() error {
			return func() error { return same(rdb.Get(context.Background(), key), body) }
		}
	}}
}

// spreadGet is one bare GET of one of many keys, on all nodes.
func spreadGet(size int) contender {
	return contender{"GET", func(e *env) begin {
		rdb, body := e.universal(), random(size)
		for i := range pages {
			e.set(rdb, hotPaths[i], body)
		}
		return func(i int) func() error {
			return func() error {
				i++
				return same(rdb.Get(context.Background(), hotPaths[i%pages]), body)
			}
		}
	}}
}

// autoGet is GET over go-redis' own batching.
func autoGet(size int) contender {
	return contender{"bare-AutoPipeline-GET", func(e *env) begin {
		ap, key, body := e.autoPipeline(), "bare:auto", random(size)
		e.set(e.goredis(), key, body)
		return func(int) func() error {
			return func() error { return same(ap.Get(context.Background(), key), body) }
		}
	}}
}

func (e *env) set(rdb redis.Cmdable, key string, value []byte) {
	e.tb.Helper()
	e.check(rdb.Set(context.Background(), key, value, time.Hour).Err())
}

func same(cmd *redis.StringCmd, want []byte) error {
	got, err := cmd.Bytes()
	if err == nil && !bytes.Equal(got, want) {
		return errValue
	}
	return err
}
