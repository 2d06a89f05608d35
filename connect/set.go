package connect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Set is a registry of named connections and aliases. It is safe for
// concurrent use.
type Set struct {
	defaults []Option

	mu      sync.Mutex // is never held while something waits
	members map[string]*member
	made    []*Conn // in the order of their making
	aliases map[string]string
	closing bool // Close was called
	closed  bool // Close has returned
}

type member struct {
	settings *settings

	making sync.Mutex
	conn   *Conn
}

// NewSet returns an empty Set. The options are defaults for all members.
func NewSet(opts ...Option) *Set {
	return &Set{defaults: opts, members: map[string]*member{}, aliases: map[string]string{}}
}

// Add adds a connection. It is checked now, certificate files and options
// included, and made on first use.
func (s *Set) Add(name, rawURL string, opts ...Option) error {
	m := &mistakes{conn: name}
	c := parse(rawURL, m)
	if err := m.err(); err != nil {
		return err
	}
	return s.add(name, c, opts...)
}

func (s *Set) add(name string, c Config, opts ...Option) error {
	m := &mistakes{conn: name}
	all := append(slices.Clone(s.defaults), opts...)
	made := prepare(c, all, m)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, taken := s.members[name]
	_, alias := s.aliases[name]
	m.check(!taken && !alias, "name", "is already in use")
	m.check(!s.closing, "set", "is closed")
	if err := m.err(); err != nil {
		return err
	}
	s.members[name] = &member{settings: made}
	return nil
}

// Alias lets role stand for name: Alias("sessions", "default"). The target
// must be known, so there are no cycles.
func (s *Set) Alias(role, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	target, err := s.resolve(name)
	if err != nil {
		return err
	}
	m := &mistakes{conn: role}
	_, taken := s.members[role]
	_, alias := s.aliases[role]
	m.check(role != "", "alias", "is empty")
	m.check(!taken && !alias, "alias", "is already in use")
	if err := m.err(); err != nil {
		return err
	}
	s.aliases[role] = target
	return nil
}

func (s *Set) resolve(name string) (string, error) {
	if target, ok := s.aliases[name]; ok {
		return target, nil
	}
	if _, ok := s.members[name]; ok {
		return name, nil
	}
	known := slices.Sorted(maps.Keys(s.members))
	known = append(known, slices.Sorted(maps.Keys(s.aliases))...)
	return "", &UnknownError{Name: name, Known: known, Near: near(name, known)}
}

// Get returns the connection of a name or alias, made on first use. An unknown
// name is an [*UnknownError]. After the start of Close it is [ErrClosed].
func (s *Set) Get(name string) (*Conn, error) {
	m, target, err := s.member(name)
	if err != nil {
		return nil, err
	}
	m.making.Lock()
	defer m.making.Unlock()
	if m.conn != nil {
		return m.conn, nil
	}
	conn, err := m.settings.open(target)
	if err != nil {
		return nil, err
	}
	if !s.keep(m, conn) { // Close came in between, and does not know of conn
		_ = conn.Close(context.Background()) // nothing is in flight
		return nil, fmt.Errorf("connect: get %s: %w", name, ErrClosed)
	}
	return conn, nil
}

func (s *Set) keep(m *member, conn *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	m.conn = conn
	s.made = append(s.made, conn)
	return true
}

func (s *Set) member(name string) (*member, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, "", fmt.Errorf("connect: get %s: %w", name, ErrClosed)
	}
	target, err := s.resolve(name)
	if err != nil {
		return nil, "", err
	}
	return s.members[target], target, nil
}

// Names are the names of the connections, sorted, without aliases.
func (s *Set) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.members))
}

// String names the connections.
func (s *Set) String() string { return "connections: " + strings.Join(s.Names(), ", ") }

// GoString is String, so that %#v shows no secret.
func (s *Set) GoString() string { return s.String() }

// LogValue is String.
func (s *Set) LogValue() slog.Value { return slog.StringValue(s.String()) }

// All yields every connection in the order of its name and makes those not yet used;
// one that cannot be made is left out, its mistake is Get's to report.
func (s *Set) All() iter.Seq2[string, *Conn] {
	return func(yield func(string, *Conn) bool) {
		for _, name := range s.Names() {
			if conn, err := s.Get(name); err == nil && !yield(name, conn) {
				return
			}
		}
	}
}

// Ready waits for all connections, see [Conn.Ready]; errors are joined.
func (s *Set) Ready(ctx context.Context) error {
	names := s.Names()
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		conn, err := s.Get(name)
		if errs[i] = err; err == nil {
			wg.Go(func() { errs[i] = conn.Ready(ctx) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// state reports whether Close was called, and whether it has returned.
func (s *Set) state() (closing, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing, s.closed
}

// Health asks all connections, see [Conn.Health]. One that cannot be made is
// there too, with its mistake.
func (s *Set) Health(ctx context.Context) map[string]Health {
	all := map[string]Health{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, name := range s.Names() {
		wg.Go(func() {
			h := Health{Conn: name}
			if conn, err := s.Get(name); err != nil {
				h.Error = err.Error()
			} else {
				h = conn.Health(ctx)
			}
			mu.Lock()
			defer mu.Unlock()
			all[name] = h
		})
	}
	wg.Wait()
	return all
}

// Close closes the connections in the reverse order of their making; errors
// are joined. From its start Get fails with [ErrClosed] and readiness probes get
// 503; liveness probes get 200 until it has returned. It holds up no other
// method of the Set.
func (s *Set) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	made := slices.Clone(s.made)
	s.mu.Unlock()
	var errs []error
	for _, conn := range slices.Backward(made) {
		errs = append(errs, conn.Close(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return errors.Join(errs...)
}
