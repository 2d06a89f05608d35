package bounded_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A server that has forgotten a script gets it by SCRIPT LOAD: one that it knows from
// EVAL alone it may forget again.
func TestScriptsComeBackByLoad(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		c := bounded.New(rdb)
		script := redis.NewScriptServerSHA("return {redis.call('INCR', KEYS[1])}")
		key := redistest.Prefix(t)
		for name, call := range map[string]func() error{
			"Ints": func() error { _, err := c.Ints(t.Context(), script, []string{key}); return err },
			"Run":  func() error { return c.Run(t.Context(), script, []string{key}).Err() },
		} {
			redistest.NoErrors(t, call())
			node, err := bounded.NodeOf(t.Context(), rdb, key)
			redistest.NoErrors(t, err)
			if single, ok := rdb.(*redis.Client); ok {
				node = single
			}
			redistest.NoErrors(t, node.ScriptFlush(t.Context()).Err(), node.ConfigResetStat(t.Context()).Err(), call())
			stats, err := node.Info(t.Context(), "commandstats").Result()
			redistest.NoErrors(t, err)
			if !strings.Contains(stats, "script|load") || strings.Contains(stats, "cmdstat_eval:") {
				t.Errorf("%s: the script came back otherwise:\n%s", name, stats)
			}
		}
		if n, err := rdb.Get(t.Context(), key).Int(); n != 4 || err != nil {
			t.Errorf("it ran %d times, %v, want 4", n, err)
		}
	})
}
