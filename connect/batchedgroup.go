package connect

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// part is the commands of a group for one node, in their order.
type part struct {
	node  *redis.Client
	bytes int
	cmds  []redis.Cmder
}

// ProcessAll sends the commands of one request, see [bounded.Batcher]: in a batch if
// enough calls are in flight and all of them may be sent in one, as a pipeline of
// their own otherwise.
func (b *batched) ProcessAll(ctx context.Context, cmds ...redis.Cmder) error {
	n := b.inFlight.Add(1)
	defer b.inFlight.Add(-1)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	sent := make([]redis.Cmder, len(cmds))
	for i, cmd := range cmds {
		sent[i], _ = bounded.Once(cmd)
	}
	var parts []part
	if b.isBusy(n) {
		parts = b.divide(ctx, sent)
	}
	if len(parts) == 0 {
		bounded.Exec(ctx, b.UniversalClient.Pipeline(), sent)
		return nil
	}
	b.count(len(sent))
	defer b.queued.Add(-int64(len(sent)))
	if err := b.sendParts(ctx, parts); err != nil {
		return err
	}
	for _, cmd := range sent {
		_ = b.outcome(cmd)
	}
	return nil
}

// divide sorts the commands of a group by their nodes. It returns none if one of them
// may not be sent in a batch, or not now.
func (b *batched) divide(ctx context.Context, cmds []redis.Cmder) (parts []part) {
	for _, cmd := range cmds {
		bytes, fits := weight(cmd)
		if !fits || !batchable(cmd) {
			return nil
		}
		node := b.nodeOf(ctx, cmd)
		at := slices.IndexFunc(parts, func(p part) bool { return p.node == node })
		if at < 0 {
			if b.isPaused(node) {
				return nil
			}
			at = len(parts)
			parts = append(parts, part{node: node, cmds: make([]redis.Cmder, 0, len(cmds))})
		}
		parts[at].bytes += bytes
		parts[at].cmds = append(parts[at].cmds, cmd)
	}
	return parts
}

// sendParts sends the parts of a group at the same time. After an error the commands
// belong to their batches.
func (b *batched) sendParts(ctx context.Context, parts []part) error {
	tickets := make([]ticket, len(parts))
	for i, p := range parts {
		var ok bool
		if tickets[i], ok = b.lanes.join(ctx, p.node, p.bytes, p.cmds...); !ok {
			_ = failAll(p.cmds, b.conn.errClosed())
		}
	}
	for i, t := range tickets {
		if t.batch == nil {
			continue
		}
		select {
		case <-t.batch.done:
		case <-ctx.Done():
			b.lanes.leave(tickets[i:]...)
			return b.abandon(ctx, parts[i].node)
		}
	}
	return nil
}
