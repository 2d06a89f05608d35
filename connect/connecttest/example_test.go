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
