package admin

import (
	"context"

	"github.com/redishttp/redishttp/connect"
)

// requestStates are those of lockmw/idempotency, see its begin.lua.
var requestStates = map[string]string{"p": "begun", "u": "the outcome is unknown", "d": "done, and the answer is kept", "x": "done, and the answer is not kept",
	"f": "forgotten: it may run again"}

// decodeRequest says how far a request with an Idempotency-Key is, and nothing
// of what is in it.
func decodeRequest(ctx context.Context, conn *connect.Conn, key string, d *decoded) error {
	pipe := conn.Client().Pipeline()
	// r is the whole answer, of which the length will do.
	fields, kept := pipe.HMGet(ctx, key, "s", "n", "f", "o"), pipe.Do(ctx, "hstrlen", key, "r")
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	text := func(i int) string {
		if v := fields.Val(); i < len(v) {
			s, _ := v[i].(string)
			return cut(s, maxJobText)
		}
		return ""
	}
	state, ok := requestStates[text(0)]
	if !ok {
		state = "not known"
	}
	d.say("State", state)
	d.say("Attempts", text(1))
	d.say("Fence", text(2))
	d.say("Last by", text(3))
	if n, _ := kept.Int64(); n > 0 {
		d.say("Answer", size(n))
	}
	return nil
}
