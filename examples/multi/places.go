package main

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/redishttp/redishttp/connect"
)

// roles are what the program uses connections for.
var roles = []string{"sessions", "cache", "limits", "locks"}

// connections reads the environment; without anything in it, it starts two
// servers of its own.
func connections(opts ...connect.Option) (*connect.Set, error) {
	if slices.ContainsFunc(os.Environ(), configures) {
		return connect.FromEnv("REDIS", opts...)
	}
	set := connect.NewSet(opts...)
	return set, errors.Join(set.Add("sessions", "embedded://"), set.Add("cache", "embedded://"),
		set.Alias("limits", "cache"), set.Alias("locks", "sessions"))
}

// configures reports whether a variable of the environment says where a Redis is.
func configures(variable string) bool {
	name, value, _ := strings.Cut(variable, "=")
	return value != "" && strings.HasPrefix(name, "REDIS_") && (strings.HasSuffix(name, "_URL") || name == "REDIS_ALIASES")
}

// places finds the connection of each role. With several connections none is
// taken for granted: a role that was mistyped must not end up on another Redis.
func places(set *connect.Set) (map[string]*connect.Conn, error) {
	if slices.Equal(set.Names(), []string{"default"}) {
		for _, role := range roles {
			_ = set.Alias(role, "default") // it may be one already
		}
	}
	in := map[string]*connect.Conn{}
	var errs []error
	for _, role := range roles {
		conn, err := set.Get(role)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		in[role] = conn
	}
	return in, errors.Join(errs...)
}
