package connect_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// hasDatabases reports whether a cluster of this server can have several databases.
func hasDatabases() bool {
	major := 0
	_, _ = fmt.Sscanf(redistest.Version(), "Valkey %d", &major)
	return major >= 9
}

// A database that does not exist is an error at once, not an outage to wait for.
func TestADatabaseThatDoesNotExist(t *testing.T) {
	t.Parallel()
	for url, hint := range map[string]string{
		redistest.NewCluster(t, 0).Target().URL + "/1": "database",
		redistest.NewServer(t).URL() + "99":            "no database with this number", // its URL ends with /0
	} {
		c := open(t, url)
		start := time.Now()
		var unavailable *connect.UnavailableError
		if err := c.Ready(within(t, patience)); !errors.As(err, &unavailable) || !strings.Contains(unavailable.Hint, hint) || time.Since(start) > patience/2 {
			t.Errorf("%s: ready after %v: %v", url, time.Since(start), err)
		}
		if err := c.Client().Set(within(t, patience), "k", "v", 0).Err(); err == nil {
			t.Errorf("%s: SET went to another database", url)
		}
		if h := c.Health(within(t, patience)); h.OK {
			t.Errorf("%s: health: %+v", url, h)
		}
	}
}

// All that a connection sends to a cluster stays in its database: commands to each
// node, pipelines, transactions, scripts, and what follows a redirect to a node that
// the slot has moved to.
func TestDatabasesOfACluster(t *testing.T) {
	t.Parallel()
	if !hasDatabases() {
		t.Skip("only Valkey 9 and later have clusters with databases; TestADatabaseThatDoesNotExist covers the others")
	}
	cluster := redistest.NewCluster(t, 0, redistest.WithArgs("--cluster-databases", "4"))
	c, zero := open(t, cluster.Target().URL+"/2"), cluster.Target().Client(t)
	ctx := within(t, patience)
	redistest.NoErrors(t, c.Ready(ctx))
	if got := c.Info().DB; got != 2 {
		t.Errorf("Info: database %d", got)
	}
	if got := c.String(); !strings.HasSuffix(got, "/2)") {
		t.Errorf("String: %s", got)
	}
	messages := c.Client().Subscribe(ctx, "news")
	defer messages.Close()
	_, err := messages.Receive(ctx)
	redistest.NoErrors(t, err)

	script := redis.NewScript("return redis.call('INCR', KEYS[1])")
	const keys = 60
	write := func(round int) {
		t.Helper()
		for i := range keys {
			key := fmt.Sprint("k", i)
			_, err := c.Client().TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, key, round, time.Minute)
				p.Get(ctx, key)
				return nil
			})
			redistest.NoErrors(t, err, script.Run(ctx, c.Client(), []string{key}).Err())
			if got, err := c.Batched().Get(ctx, key).Int(); got != round+1 || err != nil {
				t.Errorf("%s: got %d, %v, want %d", key, got, err, round+1)
			}
		}
	}
	write(1)

	// A slot that moves takes its keys of all databases along.
	from := cluster.MasterOf(t, "k0")
	to := cluster.Nodes[0]
	if to == from {
		to = cluster.Nodes[1]
	}
	slot, id := zero.ClusterKeySlot(ctx, "k0").Val(), to.Client(t).Do(ctx, "cluster", "myid").Val()
	redistest.NoErrors(t, from.Client(t).Do(ctx, "cluster", "migrateslots", "slotsrange", slot, slot, "node", id).Err())
	redistest.Eventually(t, patience, func() bool { return cluster.MasterOf(t, "k0") == to }, "the slot does not move")
	write(2)

	for i := range keys {
		if err := zero.Get(ctx, fmt.Sprint("k", i)).Err(); !errors.Is(err, redis.Nil) {
			t.Errorf("k%d in database 0: %v", i, err)
		}
	}
	redistest.NoErrors(t, zero.Publish(ctx, "news", "hello").Err()) // from another database
	if m, err := messages.ReceiveMessage(ctx); err != nil || m.Payload != "hello" {
		t.Errorf("a message: %v, %v", m, err)
	}
	nodes, err := c.Nodes(ctx)
	redistest.NoErrors(t, err)
	found := int64(0)
	for _, n := range nodes {
		server, err := c.Server(ctx, n.Addr)
		redistest.NoErrors(t, err)
		found += server.DBSize(ctx).Val()
		_ = server.Close()
	}
	if found != keys {
		t.Errorf("clients of the servers see %d keys, want %d", found, keys)
	}
}
