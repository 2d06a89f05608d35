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

	"github.com/redishttp/redishttp/internal/setting"
)

// Set is a registry of named connections and aliases, for programs with several
// Redis servers. It makes a connection when it is first used, and closes all of
// them at once. Use [Open] for a single connection. It is safe for concurrent
// use.
//
//	set := connect.NewSet(connect.WithLogger(logger))
//	err := errors.Join(
//		set.Add("main", "redis+sentinel://s1,s2,s3/mymaster"),
//		set.Add("volatile", "redis+cluster://h1,h2,h3"),
//		set.Alias("sessions", "main"),
//	)
//	conn, err := set.Get("sessions")
type Set struct {
	defaults []Option

	mu      sync.Mutex // never held while a connection is made or closed
	members map[string]*member
	made    []*Conn // in the order in which they were made
	aliases map[string]string
	closing bool // Close was called
	closed  bool // Close has returned
}

// member is a connection that has been checked, and made if it has been used.
type member struct {
	settings *settings

	making sync.Mutex
	conn   *Conn
}

// NewSet returns an empty Set. The options apply to all of its connections;
// those of [Set.Add] override them. They are checked by Add.
func NewSet(opts ...Option) *Set {
	return &Set{defaults: opts, members: map[string]*member{}, aliases: map[string]string{}}
}

// Add adds a connection. Its URL and options are checked now, certificate files
// included, and all mistakes reported at once as joined [*OptionError]; the
// connection is made when it is first used. The name must not be "" or in use,
// also not as an alias. [WithName] has no effect here. After [Set.Close] it is
// a mistake.
func (s *Set) Add(name, rawURL string, opts ...Option) error {
	m := &setting.Check{Package: "connect", Instance: name}
	c := parse(rawURL, m)
	if err := m.Err(); err != nil {
		return err
	}
	return s.add(name, c, opts)
}

// add checks a connection and adds it under a name that is not in use.
func (s *Set) add(name string, c Config, opts []Option) error {
	made := &settings{Config: c, name: name, opts: slices.Concat(s.defaults, opts), logger: slog.New(slog.DiscardHandler)}
	m := made.check()
	m.That(name != "", "name", "is empty")
	if name != "" {
		made.prepare(m)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, taken := s.members[name]
	_, alias := s.aliases[name]
	m.That(!taken && !alias, "name", "is already in use")
	m.That(!s.closing, "set", "is closed")
	if err := m.Err(); err != nil {
		return err
	}
	s.members[name] = &member{settings: made}
	return nil
}

// Alias makes role another name of a connection: Alias("sessions", "default").
// With aliases code asks for its role, and operators decide which Redis serves
// it. The target, a connection or another alias, must be known, so there are no
// cycles; otherwise the error matches [ErrUnknown]. The role must not be "" or
// in use.
func (s *Set) Alias(role, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	target, err := s.resolve(name)
	if err != nil {
		return err
	}
	m := &setting.Check{Package: "connect", Instance: role}
	_, taken := s.members[role]
	_, alias := s.aliases[role]
	m.That(role != "", "alias", "is empty")
	m.That(!taken && !alias, "alias", "is already in use")
	if err := m.Err(); err != nil {
		return err
	}
	s.aliases[role] = target
	return nil
}

// resolve returns the connection's name for a name or an alias.
func (s *Set) resolve(name string) (string, error) {
	if target, ok := s.aliases[name]; ok {
		return target, nil
	}
	if _, ok := s.members[name]; ok {
		return name, nil
	}
	known := slices.Sorted(maps.Keys(s.members))
	known = append(known, slices.Sorted(maps.Keys(s.aliases))...)
	hint := ""
	if near := suggest(name, known); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return "", &unknownError{fmt.Sprintf("connect: no connection %q, known are: %s%s", name, strings.Join(known, ", "), hint)}
}

// unknownError says which names there are. It matches [ErrUnknown].
type unknownError struct{ text string }

// Error lists the names that there are and suggests the nearest.
func (e *unknownError) Error() string        { return e.text }
func (e *unknownError) Is(target error) bool { return target == ErrUnknown }

// Get returns the connection of a name or alias, made on first use; every call
// returns the same one. For an unknown name the error matches [ErrUnknown] and
// says which names there are; from the start of [Set.Close] it matches
// [ErrClosed]. It does not dial.
func (s *Set) Get(name string) (*Conn, error) {
	m, err := s.member(name)
	if err != nil {
		return nil, err
	}
	m.making.Lock()
	defer m.making.Unlock()
	if m.conn != nil {
		return m.conn, nil
	}
	conn, err := m.settings.open()
	if err != nil {
		return nil, err
	}
	if !s.register(m, conn) { // Close began in between, and does not know of conn
		_ = conn.Close(context.Background()) // nothing is in flight
		return nil, fmt.Errorf("connect: get %s: %w", name, ErrClosed)
	}
	return conn, nil
}

// register adds a connection to those that Close closes. It reports false once
// Close has begun.
func (s *Set) register(m *member, conn *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	m.conn = conn
	s.made = append(s.made, conn)
	return true
}

// member returns the member of a name or an alias.
func (s *Set) member(name string) (*member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, fmt.Errorf("connect: get %s: %w", name, ErrClosed)
	}
	target, err := s.resolve(name)
	if err != nil {
		return nil, err
	}
	return s.members[target], nil
}

// Names returns the sorted names of the connections, without aliases.
func (s *Set) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.members))
}

// String lists the names of the connections.
func (s *Set) String() string { return "connections: " + strings.Join(s.Names(), ", ") }

// GoString is String, see [Conn.GoString].
func (s *Set) GoString() string { return s.String() }

// All yields the connections sorted by name, without aliases, and makes those
// that have not been used yet. It leaves out one that cannot be made; [Set.Get]
// returns its error. After [Set.Close] it yields none.
func (s *Set) All() iter.Seq2[string, *Conn] {
	return func(yield func(string, *Conn) bool) {
		for _, name := range s.Names() {
			if conn, err := s.Get(name); err == nil && !yield(name, conn) {
				return
			}
		}
	}
}

// Ready waits for all connections concurrently, see [Conn.Ready], and joins
// their errors. Give ctx a deadline: it ends when the last of them serves.
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

// Health returns the health of all connections by name, see [Conn.Health]. One that
// cannot be made is included, with its error.
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

// Close closes the connections in the reverse of the order in which they were
// made, one after the other and within ctx, and joins their errors; see
// [Conn.Close]. From its start Get fails with [ErrClosed] and readiness probes
// get 503; liveness probes get 200 until it has returned. It blocks no other
// method of the Set. A Set cannot be opened again.
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
