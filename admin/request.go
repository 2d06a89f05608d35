package admin

import (
	"context"
	"strconv"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

// decodeRequest says how far a request with an Idempotency-Key is, and nothing
// of what is in it.
func decodeRequest(ctx context.Context, conn *connect.Conn, key string, d *decoded) error {
	all, err := idempotency.Inspect(ctx, conn.Client(), key)
	if err != nil {
		return err
	}
	rec := all[key]
	d.say("State", rec.State)
	d.say("Attempts", number64(uint64(max(rec.Attempts, 0))))
	d.say("Fence", number64(rec.Fence))
	d.say("Last by", rec.Owner)
	if rec.Size > 0 {
		d.say("Answer", size(rec.Size))
	}
	return nil
}

// number64 is n, "" for 0.
func number64(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
