#!/usr/bin/env bash
#
# go-redis v9.23.0: when one node of a cluster hangs, a pipeline reports the error of the
# context for all of its commands, also for those that another node has executed and
# replied to.
#
# ClusterClient sends the parts of a pipeline to their nodes at the same time. If the
# context ends while one of them has not replied, Exec sets the context's error on every
# command: the values that the other nodes have returned are there (Val), and Err says
# that the deadline was exceeded.
#
# Where it bites: code that goes by each command's Err, as it should for partial
# failures, takes writes that were done for writes that were not, repeats them, and
# marks nodes as down that replied in time.
#
# What one does instead: a pipeline for each node, or a look at Val before Err where a
# reply cannot be empty.
#
# Needs go, redis-server and redis-cli (7.0) on the PATH.
set -euo pipefail

work=$(mktemp -d)
pids=()
trap 'kill -CONT "${pids[@]}" 2>/dev/null || true; kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
export GOWORK=off GOFLAGS=-mod=mod

ports=(17613 17614)
for port in "${ports[@]}"; do
  mkdir "$port"
  redis-server --port "$port" --bind 127.0.0.1 --dir "$work/$port" --save '' --cluster-enabled yes --cluster-config-file nodes.conf >"$port/log" 2>&1 &
  pids+=($!)
done
one() { redis-cli -p "${ports[0]}" "$@"; }
two() { redis-cli -p "${ports[1]}" "$@"; }
until one ping >/dev/null 2>&1 && two ping >/dev/null 2>&1; do :; done
one cluster addslotsrange 0 8191 >/dev/null
two cluster addslotsrange 8192 16383 >/dev/null
one cluster set-config-epoch 1 >/dev/null
two cluster set-config-epoch 2 >/dev/null
one cluster meet 127.0.0.1 "${ports[1]}" >/dev/null
until one cluster info | grep -q cluster_state:ok && two cluster info | grep -q cluster_state:ok; do :; done

here=b  # slot 3300, of the first node
there=a # slot 15495, of the second

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
	"os"
	"os/exec"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{os.Args[1]}, ContextTimeoutEnabled: os.Args[5] == "on"})
	defer rdb.Close()
	ctx := context.Background()
	for _, key := range os.Args[2:4] { // connections and slots are there
		if err := rdb.Set(ctx, key, 0, 0).Err(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	if err := exec.Command("kill", "-STOP", os.Args[4]).Run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	bound, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	p := rdb.Pipeline()
	here, there := p.Incr(bound, os.Args[2]), p.Incr(bound, os.Args[3])
	_, _ = p.Exec(bound)
	fmt.Printf("the node that replied: value %d, error %v\n", here.Val(), here.Err())
	fmt.Printf("the node that hangs:   value %d, error %v\n", there.Val(), there.Err())
	_ = exec.Command("kill", "-CONT", os.Args[4]).Run()
	n, err := rdb.Get(ctx, os.Args[2]).Int()
	fmt.Printf("in Redis, of the first: %d, %v\n", n, err)
	var timeout interface{ Timeout() bool }
	if n != 1 || here.Err() == nil || !errors.As(here.Err(), &timeout) && !errors.Is(here.Err(), context.DeadlineExceeded) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
}
EOF
go run . "127.0.0.1:${ports[0]}" "$here" "$there" "${pids[1]}" off
go run . "127.0.0.1:${ports[0]}" "$here" "$there" "${pids[1]}" on

# Output seen, without and with ContextTimeoutEnabled:
#
#   the node that replied: value 1, error context deadline exceeded
#   the node that hangs:   value 0, error context deadline exceeded
#   in Redis, of the first: 1, <nil>
