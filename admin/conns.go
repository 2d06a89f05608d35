package admin

import (
	"fmt"
	"iter"

	"github.com/redishttp/redishttp/connect"
)

// Connections are what a [Panel] shows: a [*connect.Set] or a single
// [*connect.Conn], which [connect.FromClient] makes of any go-redis client.
//
// Implement it to show others. If the implementation also has the methods
// Names and Get of a Set, they find connections by alias and name those that
// cannot be made.
type Connections interface {
	All() iter.Seq2[string, *connect.Conn]
}

// connections finds a panel's connections by name.
type connections struct{ Connections }

// names are those of the connections, in the order of the pages.
func (c connections) names() []string {
	if set, ok := c.Connections.(interface{ Names() []string }); ok {
		return set.Names()
	}
	var all []string
	for name := range c.All() {
		all = append(all, name)
	}
	return all
}

// get returns the connection of a name or, in a Set, of an alias.
func (c connections) get(name string) (*connect.Conn, error) {
	if set, ok := c.Connections.(interface {
		Get(name string) (*connect.Conn, error)
	}); ok {
		return set.Get(name)
	}
	for known, conn := range c.All() {
		if known == name {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("admin: %w %q", connect.ErrUnknown, name)
}

// only returns the name of the one connection, and false if there are several.
func (c connections) only() (string, bool) {
	if names := c.names(); len(names) == 1 {
		return names[0], true
	}
	return "", false
}
