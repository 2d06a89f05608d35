package admin

import (
	"context"
	"regexp"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
)

// requestStates are those of lockmw/idempotency, see its begin.lua.
var requestStates = map[string]string{
	"p": "begun", "u": "the outcome is unknown", "d": "done, and the answer is kept", "x": "done, and the answer is not kept",
	"f": "forgotten: it may run again",
}

// decodeRequest says how far a request with an Idempotency-Key is, and nothing
// of what is in it.
func decodeRequest(ctx context.Context, conn *connect.Conn, key string, d *decoded) error {
	names := []string{"s", "n", "f", "o", "r"} // r is the whole answer, of which the length will do
	sizes, values := make([]*redis.Cmd, len(names)), make([]*redis.StringCmd, len(names))
	err := ask(ctx, conn.Client(), func(pipe redis.Pipeliner) {
		for i, name := range names {
			sizes[i] = pipe.Do(ctx, "hstrlen", key, name)
		}
	})
	if err == nil {
		err = ask(ctx, conn.Client(), func(pipe redis.Pipeliner) {
			for i, name := range names[:4] {
				if n, _ := sizes[i].Int64(); n > 0 && n <= maxJobText {
					values[i] = pipe.HGet(ctx, key, name)
				}
			}
		})
	}
	if err != nil {
		return err
	}
	text := func(i int) string {
		if values[i] == nil {
			return ""
		}
		return values[i].Val()
	}
	state, ok := requestStates[text(0)]
	if !ok {
		state = "not known"
	}
	d.say("State", state)
	d.say("Attempts", text(1))
	d.say("Fence", text(2))
	d.say("Last by", text(3))
	if n, _ := sizes[4].Int64(); n > 0 {
		d.say("Answer", size(n))
	}
	return nil
}

var requestForm = regexp.MustCompile(`^idempotency:v1:([^{}]{1,100}):\{([0-9a-f]{32})\}$`)

// requestKey reads the key of the record of a request that runs once.
func requestKey(key string) (owner, bool) {
	m := requestForm.FindStringSubmatch(key)
	if m == nil {
		return owner{}, false
	}
	return owner{Kind: requestKind, Name: m[1], Hash: m[2]}, true
}
