package connect

import (
	"errors"
	"fmt"
	"strings"
)

// Errors a caller branches on, with errors.Is.
var (
	// ErrConfig is every mistake in a URL, a Config, an option or the environment.
	ErrConfig = errors.New("connect: wrong configuration")
	// ErrUnknown is a name that a Set does not have.
	ErrUnknown = errors.New("connect: unknown connection")
	// ErrClosed is the use of a closed Conn or Set.
	ErrClosed = errors.New("connect: closed")
	// ErrUnavailable is a Redis that cannot be reached or does not serve.
	ErrUnavailable = errors.New("connect: redis is unavailable")
)

// ConfigError is one mistake. It never holds a value from a URL, for that may
// be (part of) a password. It matches [ErrConfig].
type ConfigError struct {
	Conn   string // name of the connection, "" from Parse
	Field  string // URL part, parameter, Config field, option or environment variable
	Reason string
}

func (e *ConfigError) Error() string {
	if e.Conn == "" {
		return fmt.Sprintf("connect: %s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("connect: %s: %s: %s", e.Conn, e.Field, e.Reason)
}

// Is reports whether target is [ErrConfig].
func (e *ConfigError) Is(target error) bool { return target == ErrConfig }

// UnknownError is a name that a [Set] does not have. It matches [ErrUnknown].
type UnknownError struct {
	Name  string
	Known []string
	Near  string // the known name most like it, "" if none is
}

func (e *UnknownError) Error() string {
	hint := ""
	if e.Near != "" {
		hint = fmt.Sprintf("; did you mean %q?", e.Near)
	}
	return fmt.Sprintf("connect: no connection %q, known are: %s%s", e.Name, strings.Join(e.Known, ", "), hint)
}

// Is reports whether target is [ErrUnknown].
func (e *UnknownError) Is(target error) bool { return target == ErrUnknown }

// UnavailableError says why a Redis does not serve: what the call returned and,
// because go-redis hides it behind "context deadline exceeded", what the last
// dial failed with. It matches [ErrUnavailable] and both causes.
type UnavailableError struct {
	Conn     string
	Addr     string // of the node, where it is known
	Err      error
	LastDial error // nil if the last dial succeeded
	Hint     string
}

func (e *UnavailableError) Error() string {
	at := ""
	if e.Addr != "" {
		at = " at " + e.Addr
	}
	s := fmt.Sprintf("connect: %s: redis%s is unavailable: %v", e.Conn, at, e.Err)
	if e.LastDial != nil && !errors.Is(e.Err, e.LastDial) {
		s += fmt.Sprintf(" (last dial: %v)", e.LastDial)
	}
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// Is reports whether target is [ErrUnavailable].
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// Unwrap returns the causes.
func (e *UnavailableError) Unwrap() []error {
	if e.LastDial == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.LastDial}
}

// mistakes collects ConfigErrors.
type mistakes struct {
	conn string
	errs []error
}

func (m *mistakes) add(field, format string, args ...any) {
	m.errs = append(m.errs, &ConfigError{Conn: m.conn, Field: field, Reason: fmt.Sprintf(format, args...)})
}

func (m *mistakes) check(ok bool, field, format string, args ...any) {
	if !ok {
		m.add(field, format, args...)
	}
}

func (m *mistakes) err() error { return errors.Join(m.errs...) }

// near returns the name most like word, "" if none is within two edits.
func near(word string, names []string) string {
	best, bestAt := "", 3
	for _, name := range names {
		if d := edits(word, name); d < bestAt && d < len(name) {
			best, bestAt = name, d
		}
	}
	return best
}

// edits is the Levenshtein distance; words far apart in length are not worth it.
func edits(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
