package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// durable has Redis keep what it has confirmed over a kill -9.
var durable = redistest.WithArgs("--appendonly", "yes", "--appendfsync", "always")

// Redis is killed and started again, in the middle of a conversation: nobody
// loses or doubles a message, not even who says one meanwhile.
func TestRedisIsKilledAndRestarted(t *testing.T) {
	server := redistest.NewServer(t, durable)
	one, two := serve(t, server.URL()), serve(t, server.URL())
	readers := []*reader{read(t, overEvents, "", one), read(t, overSocket, "", two)}
	ann := join(t, one, "Ann")
	var want []string
	say := func(n int) {
		for range n {
			want = append(want, fmt.Sprint("m", len(want)))
			ann.say(want[len(want)-1])
		}
	}
	for range 3 {
		say(10)
		for _, r := range readers { // both instances have read it all
			r.wants(want...)
		}
		server.Kill()
		next := fmt.Sprint("m", len(want))
		if status, body := ann.once("/rooms/lobby/messages", draft{next, "n-" + next}); status != http.StatusServiceUnavailable {
			t.Errorf("said while Redis is down: %d %s", status, body)
		}
		// Those who come now are shown what is in memory.
		newcomer := read(t, overEvents, "", two)
		newcomer.wants(want...)
		readers = append(readers, newcomer)
		server.Restart(t)
		say(10)
	}
	for _, r := range readers {
		r.wants(want...)
	}
	for i, r := range readers {
		if n := r.connections(); n != 1 {
			t.Errorf("reader %d had %d connections: a Redis that is down is no reason to send clients away", i, n)
		}
	}
	entries, err := server.Client(t).XRange(t.Context(), lobby, "-", "+").Result()
	if err != nil || len(entries) != len(want) {
		t.Errorf("the stream has %d messages, %v, want %d", len(entries), err, len(want))
	}
}

// Redis comes back with nothing, its clock an hour behind. What was lost is lost,
// but what is said from then on reaches everybody, once.
func TestRedisLosesEverything(t *testing.T) {
	server := redistest.NewServer(t)
	future := fmt.Sprintf("%d-7", time.Now().Add(time.Hour).UnixMilli())
	if err := server.Client(t).XAdd(t.Context(), &redis.XAddArgs{
		Stream: lobby, ID: future,
		Values: []string{"from", "x", "name", "X", "text", "of the old master"},
	}).Err(); err != nil {
		t.Fatal(err)
	}
	one := serve(t, server.URL())
	stays := []*reader{read(t, overEvents, "", one), read(t, overSocket, "", one)}
	want := []string{"of the old master"}
	for _, r := range stays {
		r.wants(want...)
	}
	server.Restart(t)
	two := serve(t, server.URL()) // knows nothing of the past
	stays = append(stays, read(t, overEvents, "", two))
	ann := join(t, one, "Ann")
	for i := range 5 {
		want = append(want, fmt.Sprint("new ", i))
		ann.say(want[len(want)-1])
	}
	for _, r := range stays[:2] {
		r.wants(want...)
	}
	stays[2].wants(want[1:]...)
	// Who comes back to the instance that knows, and to the one that does not.
	read(t, overEvents, future, one).wants(want[1:]...)
	read(t, overEvents, future, two).wants(append([]string{"(gap)"}, want[1:]...)...)
}

// The master fails over. Every client has every message that the new master has,
// once, and whatever else it was sent before.
func TestFailover(t *testing.T) {
	redistest.Long(t)
	servers := redistest.NewSentinel(t)
	url := servers.Target().URL
	one, two := serve(t, url), serve(t, url)
	readers := []*reader{read(t, overEvents, "", one), read(t, overSocket, "", two)}
	ann := join(t, one, "Ann")
	n := 0
	say := func(count int) {
		for range count {
			ann.say(fmt.Sprint("m", n))
			n++
		}
	}
	say(20)
	old := servers.Master()
	replicated(t, old)
	old.Kill()
	say(20)
	servers.WaitPromoted(t, old)
	say(1)
	rdb := servers.Master().Client(t)
	entries, err := rdb.XRange(t.Context(), lobby, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	var stored []string
	for _, e := range entries {
		stored = append(stored, e.Values["text"].(string))
	}
	if len(stored) < 21 || stored[len(stored)-1] != fmt.Sprint("m", n-1) {
		t.Fatalf("the new master has %q", stored)
	}
	for i, r := range readers {
		redistest.Eventually(t, patience, func() bool { return slices.Contains(r.texts(), stored[len(stored)-1]) }, "reader %d does not get the last message", i)
		seen := map[string]int{}
		at := 0
		for _, text := range r.texts() {
			seen[text]++
			if at < len(stored) && text == stored[at] {
				at++
			}
		}
		if at != len(stored) {
			t.Errorf("reader %d lacks %q, or has it in another order: %q", i, stored[at], r.texts())
		}
		for text, times := range seen {
			if times != 1 {
				t.Errorf("reader %d got %q %d times", i, text, times)
			}
		}
	}
}

// replicated waits until the replica has what the master has confirmed: here it
// is not about what a failover loses.
func replicated(t *testing.T, master *redistest.Server) {
	t.Helper()
	conn := master.Client(t).Conn()
	defer conn.Close()
	redistest.Eventually(t, patience, func() bool {
		if err := conn.Set(t.Context(), "mark", 1, time.Minute).Err(); err != nil { // WAIT is for this connection's writes
			return false
		}
		n, err := conn.Wait(t.Context(), 1, 200*time.Millisecond).Result()
		return err == nil && n == 1
	}, "the replica does not follow")
}

// However many clients listen, an instance reads each message once, over the
// same few connections.
func TestClientsShareOneReader(t *testing.T) {
	server := redistest.NewServer(t)
	rdb := server.Client(t)
	base := serve(t, server.URL())
	var readers []*reader
	for range 20 {
		readers = append(readers, read(t, overEvents, "", base), read(t, overSocket, "", base))
	}
	ann := join(t, base, "Ann")
	before := calls(t, rdb)
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprint("m", i))
		ann.say(want[i])
	}
	for _, r := range readers {
		r.wants(want...)
	}
	after := calls(t, rdb)
	// At most two looks for each message, here and at the bell, and some at the
	// clock; with a reader for each client it would be 40.
	if n := after["xrange"] - before["xrange"]; n > 4*len(want) {
		t.Errorf("%d reads of the stream for %d messages and %d clients", n, len(want), len(readers))
	}
	subscribers, err := rdb.PubSubNumSub(context.Background(), "chat:v1:bell").Result()
	if err != nil || subscribers["chat:v1:bell"] != 1 {
		t.Errorf("subscribers: %v, %v", subscribers, err)
	}
}

// The bell is heard on the other instance. Without it each message would wait for
// the next look, which is up to two seconds away.
func TestTheBellIsHeard(t *testing.T) {
	for _, g := range []*redistest.Target{redistest.NewServer(t).Target(), redistest.NewCluster(t, 0).Target()} {
		one, two := serve(t, g.URL), serve(t, g.URL)
		r := read(t, overEvents, "", two)
		ann := join(t, one, "Ann")
		var want []string
		start := time.Now()
		for i := range 30 {
			want = append(want, fmt.Sprint("m", i))
			ann.say(want[i])
			r.wants(want...)
		}
		if took := time.Since(start); took > 20*recheck {
			t.Errorf("%s: 30 messages took %v", g.Name, took)
		}
	}
}

// calls counts what the server has executed, by command.
func calls(t *testing.T, rdb *redis.Client) map[string]int {
	t.Helper()
	info, err := rdb.InfoMap(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for name, stats := range info["Commandstats"] {
		var n int
		if _, err := fmt.Sscanf(stats, "calls=%d,", &n); err != nil {
			t.Fatalf("%s: %q: %v", name, stats, err)
		}
		counts[strings.TrimPrefix(name, "cmdstat_")] = n
	}
	return counts
}
