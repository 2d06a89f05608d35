package session

import (
	"context"
	"encoding/json"
	"fmt"
)

// Key is a typed key of a session. Its value is stored as JSON, so that it
// works with any codec, its type need not be registered, and fields may be
// added and removed between deployments. The string is the key, as for
// [Manager.Put]. It is safe for concurrent use.
//
//	var cart = session.Key[Cart]("cart")
//
//	c, ok, err := cart.Get(ctx, sessions)
//	err = cart.Put(ctx, sessions, c)
type Key[T any] string

// Get returns the value; ok is false where there is none. A value of another
// type, such as a string of [Manager.Put] or JSON that does not fit T, is an
// error, and the value then the zero value. Get panics like [Manager.Put] for a
// context without a session.
func (k Key[T]) Get(ctx context.Context, m *Manager) (value T, ok bool, err error) {
	return k.decode(m.Get(ctx, string(k)))
}

// Put stores the value. It fails for what JSON cannot hold, such as a channel,
// a function or NaN, and then changes nothing. Only fields that encoding/json
// sees are kept.
func (k Key[T]) Put(ctx context.Context, m *Manager, value T) error {
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("session: %s: %w", string(k), err)
	}
	m.Put(ctx, string(k), b)
	return nil
}

// Pop returns the value and removes it, as Get does otherwise. A value that
// cannot be decoded is removed too.
func (k Key[T]) Pop(ctx context.Context, m *Manager) (value T, ok bool, err error) {
	return k.decode(m.Pop(ctx, string(k)))
}

// decode reads what Put has stored; nil is an absent key.
func (k Key[T]) decode(stored any) (value T, ok bool, err error) {
	if stored == nil {
		return value, false, nil
	}
	b, isBytes := stored.([]byte)
	if !isBytes {
		return value, false, fmt.Errorf("session: %s: holds a %T, not what a Key puts there", string(k), stored)
	}
	if err := json.Unmarshal(b, &value); err != nil {
		var zero T
		return zero, false, fmt.Errorf("session: %s: %w", string(k), err)
	}
	return value, true, nil
}

// Flash is a message for the next page that the user sees, for example after a
// redirect.
type Flash struct {
	Kind string `json:"kind"` // like "error" or "success"
	Text string `json:"text"`
}

const flashes = Key[[]Flash]("__flash")

// AddFlash adds a message for the next page that calls [Manager.Flashes]. It is
// a value of the session, so an anonymous visitor gets a session and its
// cookie. Escape text in the page: it is kept as it is.
func (m *Manager) AddFlash(ctx context.Context, kind, text string) {
	all, _, _ := flashes.Get(ctx, m) // what cannot be read is replaced
	_ = flashes.Put(ctx, m, append(all, Flash{kind, text}))
}

// Flashes returns the messages in the order in which they were added, and
// removes them; without messages it returns nil and changes nothing. Two
// concurrent requests may both get them.
func (m *Manager) Flashes(ctx context.Context) []Flash {
	all, _, _ := flashes.Pop(ctx, m)
	return all
}
