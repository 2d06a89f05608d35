package session

import "context"

// movedKey is set and removed again, so that scs saves a session that was only
// read.
const movedKey = "__moved"

// findLegacy looks where scs kept sessions by itself, under the token.
func (s *store) findLegacy(ctx context.Context, st *state) (b []byte, found bool, err error) {
	if s.m.legacyPrefix == "" || st.loading == "" {
		return nil, false, nil
	}
	err = s.with(ctx, s.m.legacyPrefix+st.loading, s.m.loadTimeout, func(p *pair) error {
		b, found, err = p.legacy.Find(st.loading)
		return err
	})
	if found {
		st.moving = st.loading
	}
	return b, found, err
}

// moved deletes what scs kept, once the session is saved in our place or gone.
func (st *state) moved(ctx context.Context) {
	if st.moving == "" {
		return
	}
	token := st.moving
	st.moving = ""
	err := st.m.store.with(context.WithoutCancel(ctx), st.m.legacyPrefix+token, st.m.saveTimeout, func(p *pair) error { return p.legacy.Delete(token) })
	if err != nil {
		st.m.failed(ctx, err)
	}
}
