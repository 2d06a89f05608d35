package store

import (
	"fmt"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// wrapped is an error of the package. It matches [ErrUnavailable] if Redis is away.
func Wrap(what string, err error) error {
	return fmt.Errorf("cache: %s: %w", what, unavailable.Wrap(err))
}
