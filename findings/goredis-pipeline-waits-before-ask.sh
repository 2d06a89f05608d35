#!/usr/bin/env bash
#
# go-redis v9.23.0: on a cluster whose slot is being moved, a single command follows
# ASK at once, the same command in a pipeline waits for 10 to 30 ms first.
#
# While a slot is open (CLUSTER SETSLOT … MIGRATING), its old node replies ASK for each
# key that has been moved already. ClusterClient follows it in both cases, but a
# pipeline sleeps before it sends the redirected commands, for MinRetryBackoff and a
# random part of twice that, by default 10 ms: the pause meant for a retry after an
# error. The source says of single commands that MOVED and ASK are no errors that need
# a delay. Every pipelined GET of a moved key pays it, for as long as the slot is open.
#
# Where it bites: pipelines with a budget of some tens of milliseconds (caches, rate
# limiters) miss it during a resharding, on a server that is well; a benchmark of
# single commands shows nothing.
#
# What one does instead: MinRetryBackoff: time.Millisecond in ClusterOptions; -1, which
# turns the pause off, also takes it away from retries.
#
# Needs go, redis-server and redis-cli (7.0) on the PATH.
set -euo pipefail

work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
export GOWORK=off GOFLAGS=-mod=mod

ports=(17611 17612)
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

key=b # slot 3300, of the first node
slot=$(one cluster keyslot "$key")
one set "$key" v >/dev/null
two cluster setslot "$slot" importing "$(one cluster myid)" >/dev/null
one cluster setslot "$slot" migrating "$(two cluster myid)" >/dev/null
one migrate 127.0.0.1 "${ports[1]}" "$key" 0 5000 >/dev/null

cat >go.mod <<'EOF'
module finding

go 1.24

require github.com/redis/go-redis/v9 v9.23.0
EOF
cat >main.go <<'EOF'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

// fastest of 20 GETs of a key that has been moved.
func fastest(rdb *redis.ClusterClient, pipelined bool) time.Duration {
	ctx, best := context.Background(), time.Hour
	for range 20 {
		begun := time.Now()
		var got *redis.StringCmd
		if pipelined {
			_, _ = rdb.Pipelined(ctx, func(p redis.Pipeliner) error { got = p.Get(ctx, os.Args[2]); return nil })
		} else {
			got = rdb.Get(ctx, os.Args[2])
		}
		if got.Val() != "v" {
			fmt.Println("the key was not found:", got.Err())
			os.Exit(1)
		}
		best = min(best, time.Since(begun))
	}
	return best
}

func main() {
	failed := false
	for _, c := range []struct {
		name      string
		pause     time.Duration
		pipelined bool
		slow      bool
	}{
		{"GET", 0, false, false},
		{"GET in a pipeline", 0, true, true},
		{"GET in a pipeline, MinRetryBackoff 1 ms", time.Millisecond, true, false},
	} {
		rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{os.Args[1]}, MinRetryBackoff: c.pause})
		took := fastest(rdb, c.pipelined)
		rdb.Close()
		said := "at once (below 8 ms)"
		if took >= 8*time.Millisecond {
			said = "after 10 ms or more"
		}
		fmt.Printf("%-42s %s\n", c.name, said)
		failed = failed || c.slow != (took >= 10*time.Millisecond)
	}
	if failed {
		fmt.Println("this has changed")
		os.Exit(1)
	}
}
EOF
go run . "127.0.0.1:${ports[0]}" "$key"

# Output seen:
#
#   GET                                        at once (below 8 ms)
#   GET in a pipeline                          after 10 ms or more
#   GET in a pipeline, MinRetryBackoff 1 ms    at once (below 8 ms)
