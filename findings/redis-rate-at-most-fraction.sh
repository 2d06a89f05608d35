#!/usr/bin/env bash
#
# redis_rate v10.0.1: AllowAtMost takes fractions of a token that it does not grant.
#
# AllowAtMost is documented to return the number of events that are allowed, at
# most n. When fewer than n tokens are there, it takes all that is in the bucket,
# the started token included, and returns the whole number below. With 1.7 tokens
# it grants 1 and leaves 0, not 0.7. AllowN does not lose anything.
#
# Where it bites: workers that ask for a batch ("up to 50") whenever they are
# free, which is what AllowAtMost is for. Each call loses up to one token; a
# worker that asks every 1.7 token intervals gets 59 percent of the rate, one
# that asks every 1.9 intervals 53 percent. Nothing in the results tells.
#
# What one does instead: AllowN with n = 0, then AllowN with the Remaining that it
# reports, at most the batch; if somebody else was faster it is denied, and nothing
# is lost. The third bucket below does that.
#
# Needs go and redis-server on the PATH. Takes some 12 seconds.
set -euo pipefail

work=$(mktemp -d)
redis=
trap '[ -z "$redis" ] || { kill "$redis" && wait "$redis" || true; } 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
export GOWORK=off GOFLAGS=-mod=mod

redis-server --port 0 --unixsocket "$work/redis.sock" --save '' --dir "$work" >redis.log &
redis=$!
redis-server --version | cut -d' ' -f1-3

cat >go.mod <<'EOF'
module finding

go 1.24

require (
	github.com/go-redis/redis_rate/v10 v10.0.1
	github.com/redis/go-redis/v9 v9.23.0
)
EOF
cat >main.go <<'EOF'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

const (
	burst = 20
	batch = 5
	every = 1700 * time.Millisecond
	times = 6
)

func main() {
	ctx := context.Background()
	rdb := redis.NewClient(&redis.Options{Network: "unix", Addr: os.Args[1]})
	defer rdb.Close()
	for i := 0; rdb.Ping(ctx).Err() != nil; i++ {
		if i == 100 {
			panic("redis-server does not answer")
		}
		time.Sleep(50 * time.Millisecond)
	}
	limiter := redis_rate.NewLimiter(rdb)
	limit := redis_rate.Limit{Rate: 1, Period: time.Second, Burst: burst}
	allowed := func(res *redis_rate.Result, err error) int {
		if err != nil {
			panic(err)
		}
		return res.Allowed
	}
	for _, key := range []string{"at most", "one by one", "look first"} { // all are empty then
		allowed(limiter.AllowN(ctx, key, limit, burst))
	}

	fmt.Println("redis_rate v10.0.1, 1 per second; three equal buckets, empty at first")
	fmt.Printf("asked every %v, %d times, for up to %d events\n", every, times, batch)
	fmt.Println("expected: 10 events in the 10.2 seconds, from each bucket")
	atMost, oneByOne, lookFirst := 0, 0, 0
	began := time.Now()
	for i := range times {
		time.Sleep(time.Until(began.Add(time.Duration(i+1) * every)))
		a := allowed(limiter.AllowAtMost(ctx, "at most", limit, batch))
		o := 0
		for o < batch && allowed(limiter.Allow(ctx, "one by one", limit)) == 1 {
			o++
		}
		look, err := limiter.AllowN(ctx, "look first", limit, 0)
		if err != nil {
			panic(err)
		}
		l := 0
		if n := min(batch, look.Remaining); n > 0 {
			l = allowed(limiter.AllowN(ctx, "look first", limit, n))
		}
		atMost, oneByOne, lookFirst = atMost+a, oneByOne+o, lookFirst+l
		fmt.Printf("  after %4.1f s: AllowAtMost %d, Allow until denied %d, AllowN of 0 and of Remaining %d\n", time.Since(began).Seconds(), a, o, l)
	}
	fmt.Printf("seen: %d events with AllowAtMost, %d with Allow, %d with AllowN\n", atMost, oneByOne, lookFirst)
	if atMost != times || oneByOne < 10 || lookFirst < 10 {
		fmt.Println("this is no longer what the head of the script says")
		os.Exit(1)
	}
}
EOF
go run . "$work/redis.sock"
