//go:build unix

package connecttest_test

import (
	"testing"
	"time"

	"github.com/redishttp/redishttp/connect/connecttest"
)

// A test of your own, on a real cluster whose master dies.
func Example() {
	_ = func(t *testing.T) {
		cluster := connecttest.NewCluster(t, 1)
		conn := connecttest.Open(t, cluster.URL())
		cluster.MasterOf(t, "order:1").Kill()
		connecttest.Eventually(t, 10*time.Second, func() bool {
			return conn.Client().Set(t.Context(), "order:1", "paid", time.Hour).Err() == nil
		}, "no failover")
	}
}

// What expires in an hour, now.
func ExampleWithClock() {
	_ = func(t *testing.T) {
		server := connecttest.NewServer(t, connecttest.WithClock())
		rdb := server.Client(t)
		rdb.Set(t.Context(), "code", "1234", time.Hour)
		server.SetClock(t, 61*time.Minute)
		if rdb.Exists(t.Context(), "code").Val() != 0 {
			t.Error("the code is still there")
		}
	}
}

// How many round trips a feature takes, and with which commands.
func ExampleCount() {
	_ = func(t *testing.T) {
		conn := connecttest.Open(t, connecttest.NewServer(t).URL())
		count := connecttest.Count(conn.Client())
		conn.Client().Get(t.Context(), "order:1")
		if count.Trips() != 1 || count.Commands()["get"] != 1 {
			t.Errorf("%d round trips: %v", count.Trips(), count.Commands())
		}
	}
}

// A cluster of which one master executes commands and its replies are lost.
func ExampleNewNetwork() {
	_ = func(t *testing.T) {
		cluster := connecttest.NewCluster(t, 0)
		network := connecttest.NewNetwork(t, cluster.Nodes()...)
		conn := connecttest.Open(t, cluster.URL(), network.Option())
		network.To(cluster.MasterOf(t, "order:1")).SwallowReplies()
		if conn.Client().Incr(t.Context(), "order:1").Err() == nil {
			t.Error("a reply came through")
		}
		network.Heal()
	}
}
