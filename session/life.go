package session

import (
	"context"
	_ "embed" // for the script
	"time"
)

//go:embed extend.lua
var extendSource string

// skewToReport is how long Redis may keep a session beyond its deadline before
// that is reported. A key ends with the deadline at the latest, by the clock
// that wrote it.
const skewToReport = 5 * time.Second

// life is how long a session lives from now if it is not used: until its
// deadline if it is remembered, and at most the idle time otherwise. It is given
// to Redis as a duration: Redis' clock counts it down, however far that of this
// process is off.
func (m *Manager) life(deadline time.Time, remembered bool) time.Duration {
	left := time.Until(deadline)
	if !remembered {
		left = min(left, m.idle)
	}
	return max(left, time.Millisecond)
}

// lifeOf is the life of an encoded session.
func (m *Manager) lifeOf(b []byte) time.Duration {
	g, err := m.codec.glance(b)
	if err != nil {
		return m.idle
	}
	return m.life(g.deadline, g.remembered)
}

// step is how much of the idle time may be over before it is renewed.
func (m *Manager) step() time.Duration { return max(m.idle/10, time.Second) }

// touch renews the life of a session that was used, when a tenth of the idle
// time is over.
func (st *state) touch(ctx context.Context) {
	m := st.m
	if st.client == "" || st.loadedTTL <= 0 || st.loadedTTL >= m.idle-m.step() && !m.GetBool(ctx, rememberKey) {
		return
	}
	life, margin := m.life(m.Deadline(ctx), m.GetBool(ctx, rememberKey)), m.step()
	if life != m.idle {
		margin = time.Second // it ends at the deadline and cannot be renewed any further
	}
	if st.loadedTTL >= life-margin {
		return
	}
	if err := m.store.touch(ctx, st.loadedHash, life); err != nil {
		m.failed(ctx, err)
	}
}

// touch moves the expiry of a session that was only read. It never writes the
// value, so it cannot bring back what a logout deleted, and only ever extends:
// another request may have extended the session since.
func (s *store) touch(ctx context.Context, hash string, life time.Duration) error {
	return s.with(context.WithoutCancel(ctx), s.m.base+hash, s.m.saveTimeout, func(p *pair) error {
		conn := p.pool.Get()
		defer conn.Close()
		_, err := conn.Do("EVAL", extendSource, 1, s.m.base+hash, life.Milliseconds())
		if err == nil {
			s.fresh.set(hash, time.Now().Add(s.m.step()))
		}
		return err
	})
}
