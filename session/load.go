package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// load loads the session once and returns scs' data, an empty session's after
// an error.
func (st *state) load() any {
	st.once.Do(func() {
		m := st.m
		ctx := &st.plain
		for _, token := range st.tokens {
			st.loadingToken = token
			loaded, err := m.scs.Load(ctx, token)
			switch {
			case errors.Is(err, ErrCorrupt):
				st.drop(ctx, err)
				continue
			case errors.Is(err, ErrUnknownKey):
				m.failed(ctx, err) // it stays in Redis, for instances that have the key
				st.unreadable = st.loadedHash
				continue
			case errors.Is(err, errExpired):
				if st.loadedTTL > skewToReport {
					m.failed(ctx, fmt.Errorf("%w: redis would keep it for another %v", errClock, st.loadedTTL.Round(time.Second)))
				}
				continue
			case err != nil:
				st.empty(err)
				return
			}
			if m.Token(loaded) != "" {
				if st.legacyToken != "" { // to be saved in our place
					m.markModified(loaded)
				}
				st.set(loaded.Value(m.key), token, nil)
				m.loaded(ctx, true)
				return
			}
			if m.hooks.Event != nil {
				m.event(ctx, eventUnknown, hashOf(token))
			}
		}
		st.empty(nil)
		m.loaded(ctx, false)
	})
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.data
}

// set keeps the result of the load: scs' data, the token of the client, and why
// the session could not be loaded.
func (st *state) set(data any, client string, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.data, st.client, st.loadErr = data, client, err
}

// found keeps what was loaded, nil if it cannot be read.
func (st *state) found(hash string, v *value, ttl time.Duration) {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.loadedHash, st.loadedTTL = hash, ttl
	st.base, st.wrote = v, false
}

// drop forgets a value that cannot be read.
func (st *state) drop(ctx context.Context, err error) {
	st.corrupt = true
	st.m.failed(ctx, err)
	if st.loadedHash != "" {
		if err := st.m.store.delete(ctx, st.loadedHash); err != nil {
			st.m.failed(ctx, err)
		}
	}
}
