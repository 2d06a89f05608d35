#!/usr/bin/env bash
#
# redis_rate v10.0.1: a denied AllowN says Remaining 0 while tokens are left.
#
# Result.Remaining is documented as the number of requests that the key still
# permits at this moment. That is right after a call that is allowed, and after
# AllowN with n = 0. A call of a cost that does not fit takes nothing from the
# bucket, but reports Remaining 0, whatever is in it. If the cost is above the
# burst it also reports a RetryAfter, after which it is denied just the same.
#
# Where it bites: requests of different costs on one key. The one large request
# of a client makes the service send "RateLimit-Remaining: 0", and a client that
# heeds it stops sending the small ones, which would have been served.
#
# What one does instead: after a denial of n > 1, ask again with n = 0 and report
# that Remaining; refuse a cost above the burst before asking.
#
# Needs go and redis-server on the PATH.
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
	limiter, limit := redis_rate.NewLimiter(rdb), redis_rate.PerHour(10)
	ask := func(n int) *redis_rate.Result {
		res, err := limiter.AllowN(ctx, "client", limit, n)
		if err != nil {
			panic(err)
		}
		fmt.Printf("  AllowN(%2d): allowed %d, remaining %d, retry after %s\n", n, res.Allowed, res.Remaining, res.RetryAfter.Round(time.Second))
		return res
	}
	fmt.Println("redis_rate v10.0.1, 10 per hour, burst 10")
	fmt.Println("expected: after 4 of 10, a call that is denied takes nothing and says remaining 6")
	fmt.Println("seen:")
	taken := ask(4)
	seven := ask(7)
	before := ask(0)
	fifty := ask(50)
	after := ask(0)
	last := ask(6)
	same := taken.Remaining == 6 && before.Remaining == 6 && after.Remaining == 6 && last.Allowed == 6 &&
		seven.Allowed == 0 && seven.Remaining == 0 && fifty.Allowed == 0 && fifty.Remaining == 0 && fifty.RetryAfter > 0
	if !same {
		fmt.Println("this is no longer what the head of the script says")
		os.Exit(1)
	}
	fmt.Println("so: remaining 0 twice, though 6 more were allowed right after")
}
EOF
go run . "$work/redis.sock"
