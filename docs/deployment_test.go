package docs_test

import (
	"os"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
)

// deploymentPage is docs/deployment.md, whose ACL and sizes are tried out here.
func deploymentPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every key has a TTL, so a policy that evicts keys with one evicts all:
// volatile-lru protects nothing.
func TestVolatilePoliciesEvictSessions(t *testing.T) {
	rdb := redistest.NewServer(t, redistest.WithArgs("--maxmemory", "6mb", "--maxmemory-policy", "volatile-lru")).Client(t)
	one := sessionOf(t, rdb, true)
	for i := range 200 {
		one(i)
	}
	one = pageOf(t, rdb, 16<<10, "")
	for i := range 1000 {
		one(i)
	}
	left, err := rdb.Keys(t.Context(), "session:*").Result()
	redistest.NoErrors(t, err)
	if len(left) == 200 {
		t.Error("no session was evicted")
	}
	t.Logf("%d of 200 sessions are left", len(left))
}
