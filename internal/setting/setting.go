// Package setting checks the arguments of constructors: every mistake is
// reported, each as an [Error], and all of them at once.
package setting

import (
	"errors"
	"fmt"
	"regexp"
)

// Error is one mistake in the arguments of a constructor. It never holds a
// secret.
type Error struct {
	// Package is the name of the package whose constructor was called.
	Package string
	// Instance tells apart what the package makes several of in one call, such
	// as the connections of a set. It is "" otherwise.
	Instance string
	// Option is the argument or option that is wrong, such as "WithTimeout".
	Option string
	// Reason says what is wrong with it, such as "0s is not above 0".
	Reason string
}

func (e *Error) Error() string {
	instance := ""
	if e.Instance != "" {
		instance = e.Instance + ": "
	}
	return e.Package + ": " + instance + e.Option + ": " + e.Reason
}

// Check collects the mistakes in the arguments of one call. The zero value with
// a Package is ready to use. It is not safe for concurrent use.
type Check struct {
	Package  string
	Instance string

	errs []error
}

// That records a mistake in option unless ok is true. The reason is formatted
// with args only then.
func (c *Check) That(ok bool, option, reason string, args ...any) {
	if !ok {
		c.Fail(option, reason, args...)
	}
}

// Fail records a mistake in option.
func (c *Check) Fail(option, reason string, args ...any) {
	if len(args) > 0 {
		reason = fmt.Sprintf(reason, args...)
	}
	c.errs = append(c.errs, &Error{Package: c.Package, Instance: c.Instance, Option: option, Reason: reason})
}

// Join records mistakes that were found elsewhere. A nil err is none.
func (c *Check) Join(err error) {
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

var name = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Name records a mistake in option unless it holds a name that may be part of
// a Redis key: 1 to 64 letters, digits, dots, underscores and hyphens.
func (c *Check) Name(option, value string) {
	c.That(name.MatchString(value), option, "does not match [A-Za-z0-9._-]{1,64}")
}

// Err returns the mistakes, joined, or nil if there are none.
func (c *Check) Err() error { return errors.Join(c.errs...) }
