package connect

import (
	"errors"

	"github.com/redishttp/redishttp/internal/setting"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Errors to test with [errors.Is].
var (
	// ErrUnavailable matches every error that means Redis cannot be used now:
	// it cannot be reached, does not answer in time, or answers that it is
	// starting, failing over, out of memory or busy. A caller that cancels its
	// context gets that error instead. It is the ErrUnavailable of all packages
	// of this module; [*UnavailableError] has the cause. Clients of
	// [FromClient] return go-redis' own errors, which it does not match.
	ErrUnavailable = unavailable.Err
	// ErrUnknown is returned for a name that a [Set] does not have, with the
	// names that it has, and by [Conn.Server] for an address that is not one of
	// the connection's servers.
	ErrUnknown = errors.New("connect: unknown connection")
	// ErrClosed is returned for what begins after [Conn.Close] or [Set.Close]
	// was called. The error of a call to Redis then matches go-redis'
	// redis.ErrClosed as well.
	ErrClosed = errors.New("connect: closed")
)

// OptionError is one mistake in a URL, a [Config], an option or the environment.
// Instance is the name of the connection, "" from [Parse]; Option the part of
// the URL, the parameter, option or environment variable. It never holds a value
// from a URL, which may be (part of) a password.
//
// It is the same type in all packages of this module, so one [errors.As] finds
// the mistakes of each.
type OptionError = setting.Error
