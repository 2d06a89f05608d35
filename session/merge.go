package session

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/redishttp/redishttp/internal/redigoconn"
)

// commitGuarded writes the session if Redis still has what this request has
// read. If other requests have saved since, their changes and ours are merged,
// key by key, and it tries again; a session that was deleted stays deleted.
// Every retry means that another request has made progress, so it retries until
// the time for saving is over.
func (s *store) commitGuarded(ctx context.Context, st *state, base *value, mine []byte) error {
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.m.saveTimeout)
	defer cancel()
	hash, key := base.hash, s.m.base+base.hash
	last, done := s.saves.acquire(wait, hash)
	var written *value
	defer func() { done(written) }()
	if last != nil && !bytes.Equal(last.stored, base.stored) { // known to have changed: merge before the first attempt
		var err error
		if mine, err = s.m.merge(base.bytes, mine, last.bytes); err != nil {
			return err
		}
		base = last
	}
	for merged := 0; ; merged++ {
		stored, err := s.m.seal.seal(key, mine)
		if err != nil {
			return err
		}
		guardErr, err := s.replace(ctx, base, mine, stored)
		if err != nil {
			return err
		}
		var conflict *redigoconn.ConflictError
		switch {
		case guardErr == nil:
			written = &value{hash, mine, stored}
			st.committed(written)
			if merged > 0 && s.m.hooks.Merged != nil {
				s.m.hooks.Merged(ctx, merged)
			}
			return nil
		case !errors.As(guardErr, &conflict):
			return s.follow(ctx, st, base, mine)
		case wait.Err() != nil:
			return ErrConflict
		}
		theirs, err := s.m.seal.open(key, "", conflict.Current)
		if err != nil {
			return err
		}
		if mine, err = s.m.merge(base.bytes, mine, theirs); err != nil {
			return err
		}
		if err := s.m.fits(mine); err != nil { // merged, they are too large
			return err
		}
		base = &value{hash, theirs, conflict.Current}
	}
}

// replace writes if Redis still has base. guardErr is a conflict or a session that
// is gone; neither counts as a failure of Redis.
func (s *store) replace(ctx context.Context, base *value, b, stored []byte) (guardErr, err error) {
	life := s.m.lifeOf(b)
	err = s.with(context.WithoutCancel(ctx), s.m.base+base.hash, s.m.saveTimeout, func(p *pair) error {
		p.conn.Guard(base.stored)
		p.conn.ExpireIn(life)
		err := p.store.Commit(base.hash, stored, time.Now().Add(life))
		var conflict *redigoconn.ConflictError
		if errors.As(err, &conflict) || errors.Is(err, redigoconn.ErrGone) {
			guardErr, err = err, nil
		}
		return err
	})
	return guardErr, err
}

// merge returns theirs with the changes that mine has made to base. Where both have
// changed a key, mine wins, because it is later, unless [WithMerge] decides. The
// deadline is merged like a key.
func (m *Manager) merge(base, mine, theirs []byte) ([]byte, error) {
	until, was, err := m.codec.decode(base)
	if err != nil {
		return nil, err
	}
	deadline, ours, err := m.codec.decode(mine)
	if err != nil {
		return nil, err
	}
	end, result, err := m.codec.decode(theirs)
	if err != nil {
		return nil, err
	}
	if deadline.Equal(until) { // not changed here
		deadline = end
	}
	for key, value := range ours {
		before, had := was[key]
		if had && reflect.DeepEqual(before, value) {
			continue // not changed here
		}
		now, there := result[key]
		if m.mergeKey != nil && (there != had || there && !reflect.DeepEqual(before, now)) {
			value = m.mergeKey(key, before, value, now)
		}
		result[key] = value
	}
	for key, before := range was {
		if _, still := ours[key]; still {
			continue
		}
		if now, there := result[key]; there && reflect.DeepEqual(before, now) || m.mergeKey == nil {
			delete(result, key) // removed here, and not changed there
		} else if there {
			if value := m.mergeKey(key, before, nil, now); value == nil {
				delete(result, key)
			} else {
				result[key] = value
			}
		}
	}
	return m.codec.Encode(deadline, result)
}
