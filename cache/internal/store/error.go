package store

import (
	"fmt"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// Wrap returns err as an error of package cache. It matches [ErrUnavailable] if Redis is away.
func Wrap(what string, err error) error {
	return fmt.Errorf("cache: %s: %w", what, unavailable.Wrap(err))
}
