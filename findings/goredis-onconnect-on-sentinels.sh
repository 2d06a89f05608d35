#!/usr/bin/env bash
#
# go-redis v9.23.0: FailoverOptions.OnConnect also runs on connections to sentinels.
#
# FailoverOptions has fields of its own for the sentinels (SentinelUsername,
# SentinelPassword), and has OnConnect in one list with DB, Username and Password,
# which are for the Redis servers alone. But OnConnect is called for each
# connection to a sentinel as well. A sentinel knows few commands, so a hook that
# runs one for data returns an error, each connection to a sentinel fails with it,
# and the client reports that no sentinel can be reached. What the hook returned
# is at the end of that message.
#
# Where it bites: the move to Sentinel with a hook that worked with NewClient. The
# network and the sentinels are searched for the fault. A hook that ignores its
# errors sends its commands to sentinels, which other applications use too.
#
# What one does instead: the hook asks with ROLE whom it talks to (a sentinel
# answers "sentinel") and returns nil there.
#
# Needs go and redis-server (which is the sentinel, too) on the PATH.
set -euo pipefail

work=$(mktemp -d)
pids=()
trap '{ for p in "${pids[@]}"; do kill "$p" && wait "$p" || true; done; } 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
export GOWORK=off GOFLAGS=-mod=mod
redis-server --version | cut -d' ' -f1-3

cat >go.mod <<'EOF'
module finding

go 1.24

require github.com/redis/go-redis/v9 v9.23.0
EOF
cat >main.go <<'EOF'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// quiet drops go-redis' own log lines.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// free prints two ports that nobody listens on.
func free() {
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		defer l.Close()
		fmt.Println(l.Addr().(*net.TCPAddr).Port)
	}
}

func main() {
	if os.Args[1] == "ports" {
		free()
		return
	}
	redis.SetLogger(quiet{})
	log.SetOutput(io.Discard)
	master, sentinel := os.Args[1], os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	// failover is a client with the hook; it tries once.
	failover := func(hook func(context.Context, *redis.Conn) error) error {
		rdb := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: "mymaster", SentinelAddrs: []string{sentinel},
			MaxRetries: -1, DialerRetries: 1, OnConnect: hook,
		})
		defer rdb.Close()
		return rdb.Ping(ctx).Err()
	}
	for i := 0; failover(nil) != nil; i++ {
		if i == 100 {
			panic(failover(nil))
		}
		time.Sleep(50 * time.Millisecond)
	}

	var mu sync.Mutex
	roles := []string{}
	noteRole := func(ctx context.Context, cn *redis.Conn) error {
		reply, err := cn.Do(ctx, "ROLE").Slice()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if role := fmt.Sprint(reply[0]); !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
		return nil
	}
	warmUp := func(ctx context.Context, cn *redis.Conn) error {
		err := cn.Get(ctx, "settings").Err()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	}
	careful := func(ctx context.Context, cn *redis.Conn) error {
		reply, err := cn.Do(ctx, "ROLE").Slice()
		if err != nil || reply[0] == "sentinel" {
			return err
		}
		return warmUp(ctx, cn)
	}

	fmt.Println("go-redis v9.23.0")
	fmt.Println("expected: OnConnect is called for connections to the master; GET works there, so PING does")
	plain := redis.NewClient(&redis.Options{Addr: master, MaxRetries: -1, OnConnect: warmUp})
	defer plain.Close()
	errPlain := plain.Ping(ctx).Err()
	errRole := failover(noteRole)
	errWarm := failover(warmUp)
	errCareful := failover(careful)
	slices.Sort(roles)
	show := func(err error) string {
		if err == nil {
			return "no error"
		}
		return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", " / ")
	}
	fmt.Println("seen:")
	fmt.Println("  PING, NewClient, OnConnect runs GET:         ", show(errPlain))
	fmt.Println("  OnConnect of NewFailoverClient was called on:", roles, "-", show(errRole))
	fmt.Println("  PING, NewFailoverClient, OnConnect runs GET: ", show(errWarm))
	fmt.Println("  the same, but not on a sentinel:             ", show(errCareful))
	if errPlain != nil || errRole != nil || !slices.Equal(roles, []string{"master", "sentinel"}) ||
		errWarm == nil || !strings.Contains(errWarm.Error(), "unreachable") || errCareful != nil {
		fmt.Println("this is no longer what the head of the script says")
		os.Exit(1)
	}
}
EOF
go build -o finding .

{ read -r redis; read -r sentinel; } < <(./finding ports)
redis-server --port "$redis" --bind 127.0.0.1 --save '' --dir "$work" >redis.log &
pids+=($!)
cat >sentinel.conf <<EOF
port $sentinel
bind 127.0.0.1
dir $work
sentinel monitor mymaster 127.0.0.1 $redis 1
EOF
redis-server sentinel.conf --sentinel >sentinel.log &
pids+=($!)
./finding "127.0.0.1:$redis" "127.0.0.1:$sentinel"
