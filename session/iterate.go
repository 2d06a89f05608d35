package session

import "context"

// Iterate calls fn for each session that is stored, on all masters, one after
// the other. It is for operators and not for requests, because it reads every
// session: it scans each master, and reads each session in a round trip.
//
// The context that fn gets is for the data methods: [Manager.User],
// [Manager.Destroy] and [Manager.Commit], which saves what fn has changed, work
// on that session, although its token is not known. Without Commit a change is
// lost. An error of fn ends Iterate, which returns it; so does the end of ctx.
// Values that cannot be read go to the hook. Sessions that begin or end while
// it runs may be left out.
func (m *Manager) Iterate(ctx context.Context, fn func(ctx context.Context) error) error {
	return m.store.each(ctx, func(hash string, stored []byte) error {
		b, err := m.seal.open(m.base, hash, stored)
		if err != nil {
			m.failed(ctx, err)
			return nil
		}
		v := &value{hash, b, stored}
		st := newState(ctx, m, []string{hash})
		st.visited, st.loadedHash, st.base, st.wrote = hash, hash, v, true
		visited := &st.ctx
		if st.load(); m.Token(visited) == "" {
			return nil // past its deadline, or not a session
		}
		return fn(visited)
	})
}
