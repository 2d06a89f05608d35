#!/usr/bin/env bash
#
# go-redis v9.23.0: automatic pipelining sends a batch whose commands have different retry
# policies in as many round trips as the policy changes, up to one for each command.
#
# AutoPipeliner collects what is submitted while a batch is under way, and cuts a new one
# wherever NoRetry() of a command differs from that of the command before. 200 commands of
# one kind are a few pipelines; 200 of two kinds in turn are some 200 calls.
#
# Where it bites: a program marks the commands that must not be repeated (scripts that
# count, locks) and leaves the others. Each kind by itself is several times faster with
# automatic pipelining; both together, as a request has them, are slower than without.
#
# What one does instead: submit all commands of such a client with one policy.
#
# Needs go and redis-server (7.0) on the PATH.
set -euo pipefail

work=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
export GOWORK=off GOFLAGS=-mod=mod
port=17619
redis-server --port "$port" --bind 127.0.0.1 --dir "$work" --save '' >log 2>&1 &
pid=$!
until redis-cli -p "$port" ping >/dev/null 2>&1; do :; done

cat >go.mod <<'MOD'
module finding

go 1.24

require github.com/redis/go-redis/v9 v9.23.0
MOD
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// once is a command that must not be repeated.
type once struct{ *redis.StringCmd }

func (once) NoRetry() bool { return true }

// counter counts what is sent together.
type counter struct{ trips atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.trips.Add(1); return next(ctx, cmd) }
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.trips.Add(1); return next(ctx, cmds) }
}

const commands = 200

// trips submits commands without waiting in between and returns how many times
// something was sent.
func trips(addr string, mixed bool) int64 {
	ctx := context.Background()
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	if err := rdb.Ping(ctx).Err(); err != nil {
		panic(err)
	}
	c := &counter{}
	rdb.AddHook(c)
	ap, err := rdb.AsyncAutoPipeline()
	if err != nil {
		panic(err)
	}
	defer ap.Close()
	var all []redis.AutoFuture
	for i := range commands {
		cmd := redis.NewStringCmd(ctx, "echo", "x")
		if mixed && i%2 == 1 {
			all = append(all, ap.Submit(ctx, once{cmd}))
		} else {
			all = append(all, ap.Submit(ctx, cmd))
		}
	}
	for _, f := range all {
		if err := f.WaitContext(ctx); err != nil {
			panic(err)
		}
	}
	return c.trips.Load()
}

func main() {
	one, two := trips(os.Args[1], false), trips(os.Args[1], true)
	fmt.Printf("%d commands of one policy: %d round trips; of two in turn: %d\n", commands, one, two)
	if one > commands/4 || two < commands/2 {
		fmt.Println("CHANGED: automatic pipelining no longer divides batches by retry policy")
		os.Exit(1)
	}
}
GO
go mod tidy >/dev/null 2>&1
go run . "127.0.0.1:$port"
# Seen on 2026-11-28: 200 commands of one policy: 3 round trips; of two in turn: 202
