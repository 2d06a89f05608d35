package store

import (
	"context"
	"log/slog"

	"github.com/redishttp/redishttp/internal/breaker"
)

func (s *Store) report(ctx context.Context, call breaker.Call, err error) {
	switch e := s.nodes.Report(call, err); e.Change {
	case breaker.None:
	case breaker.Opened:
		s.set.Logger.LogAttrs(ctx, slog.LevelWarn, "redis is unavailable, nothing is cached", slog.String("addr", e.Addr))
	case breaker.Closed:
		s.set.Logger.LogAttrs(ctx, slog.LevelInfo, "redis is back, responses are cached again", slog.String("addr", e.Addr))
	}
}
