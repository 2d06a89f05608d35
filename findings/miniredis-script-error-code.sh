#!/usr/bin/env bash
#
# miniredis v2.40.0: an error that is raised in a script loses its code.
#
# Since Redis 7 the error of a redis.call that fails in a script reaches the
# client with its own code, WRONGTYPE for instance, and so does what the script
# raises with error(redis.error_reply("STALE ...")). miniredis answers ERR to
# both, speaks of an error while compiling the script, and puts the address of a
# Lua table in the place of the raised text. An error table that is returned and
# not raised is the same on both.
#
# Where it bites: code that tells errors of a script apart by their code. Its
# branch for WRONGTYPE or for a code of its own is never taken in tests with
# miniredis, or is written for what miniredis says and never taken in production.
#
# What one does instead: the script calls redis.pcall and returns the error, as
# in the last line of the output; or these tests run on a real server.
#
# Needs go and redis-server (7 or later) on the PATH.
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
	github.com/alicebob/miniredis/v2 v2.40.0
	github.com/redis/go-redis/v9 v9.23.0
)
EOF
cat >main.go <<'EOF'
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

var scripts = []struct{ script, code, mini string }{
	{"return redis.call('INCR', KEYS[1])", "WRONGTYPE", "ERR"},
	{"error(redis.error_reply('STALE version 3'))", "STALE", "ERR"},
	{"return redis.error_reply('STALE version 3')", "STALE", "STALE"},
	{"local r = redis.pcall('INCR', KEYS[1]) return r", "WRONGTYPE", "WRONGTYPE"},
}

func main() {
	ctx := context.Background()
	mini := miniredis.NewMiniRedis()
	if err := mini.Start(); err != nil {
		panic(err)
	}
	defer mini.Close()
	server := redis.NewClient(&redis.Options{Network: "unix", Addr: os.Args[1]})
	defer server.Close()
	fake := redis.NewClient(&redis.Options{Addr: mini.Addr()})
	defer fake.Close()
	for i := 0; server.Ping(ctx).Err() != nil; i++ {
		if i == 100 {
			panic("redis-server does not answer")
		}
		time.Sleep(50 * time.Millisecond)
	}
	// run is the error of a script on a key that holds a list.
	run := func(rdb *redis.Client, script string) string {
		if err := rdb.Del(ctx, "list").Err(); err != nil {
			panic(err)
		}
		if err := rdb.RPush(ctx, "list", "a").Err(); err != nil {
			panic(err)
		}
		err := rdb.Eval(ctx, script, []string{"list"}).Err()
		if err == nil {
			return "no error"
		}
		return strings.Join(strings.Fields(err.Error()), " ")
	}
	code := func(s string) string {
		c, _, _ := strings.Cut(s, " ")
		return c
	}
	fmt.Println("miniredis v2.40.0, asked with go-redis v9.23.0; KEYS[1] is a list")
	fmt.Println("expected: the code that redis-server gives")
	fmt.Println("seen:")
	same := true
	for _, s := range scripts {
		r, m := run(server, s.script), run(fake, s.script)
		fmt.Printf("  %s\n    redis-server: %.90s\n    miniredis:    %.90s\n", s.script, r, m)
		same = same && code(r) == s.code && code(m) == s.mini
	}
	if !same {
		fmt.Println("this is no longer what the head of the script says")
		os.Exit(1)
	}
}
EOF
go run . "$work/redis.sock"
