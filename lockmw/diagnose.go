package lockmw

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// diagnose makes an [ErrSetup] of an answer of Redis that will not change by
// itself. A replica may be the former master of a failover, or a mistake: it is
// both.
func diagnose(err error) error {
	var answer redis.Error
	switch {
	case err == nil, errors.Is(err, ErrSetup), !errors.As(err, &answer):
		return err
	case isReadOnly(answer.Error()):
		return fmt.Errorf("%w: %w", errReplica, err)
	case unavailable.Passing(err):
		return err
	}
	return fmt.Errorf("%w: %w", ErrSetup, err)
}

var errReplica = fmt.Errorf("%w%w", ErrSetup, silent{ErrUnavailable})

// isReadOnly reports whether an answer, also one of a script on Redis 6, is that
// of a replica.
func isReadOnly(answer string) bool {
	if _, inner, ok := strings.Cut(answer, "@user_script: "); ok {
		answer = strings.TrimLeft(inner, "0123456789:- ")
	}
	return strings.HasPrefix(strings.TrimPrefix(answer, "ERR "), "READONLY")
}

// failed is the error of what could not be done because a call failed.
func failed(what string, err error) error {
	if errors.Is(err, ErrSetup) {
		return err
	}
	if errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("lockmw: %s: %w", what, err)
	}
	return fmt.Errorf("lockmw: %s: %w: %w", what, ErrUnavailable, err)
}

// isMistake reports whether waiting and trying again will not help.
func isMistake(err error) bool { return errors.Is(err, ErrSetup) && !errors.Is(err, ErrUnavailable) }

// isTransient reports whether the server will serve soon, or has been replaced.
func isTransient(err error) bool {
	for _, prefix := range []string{"READONLY", "LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// mayHaveRun reports whether a call that failed may have been executed.
func mayHaveRun(err error) bool {
	var answer redis.Error
	return !errors.As(err, &answer) && !isUnsent(err)
}

// isUnsent reports whether there was no connection to send a call on.
func isUnsent(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}
