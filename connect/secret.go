package connect

import "fmt"

// Secret is a password. It prints, logs and marshals as "[redacted]", and as
// nothing if it is empty; convert it to string to use it. The zero value is no
// password.
type Secret string

const redacted = "[redacted]"

// Format prints "[redacted]" for every verb, or nothing for an empty secret.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.text()) }

// MarshalText serves encoding/json and log/slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.text()), nil }

func (s Secret) text() string {
	if s == "" {
		return ""
	}
	return redacted
}
