package session

import "context"

// findLegacy looks where scs kept sessions by itself, under the token.
func (s *store) findLegacy(ctx context.Context, st *state) (b []byte, found bool, err error) {
	if s.m.legacyPrefix == "" || st.loadingToken == "" {
		return nil, false, nil
	}
	err = s.with(ctx, s.m.legacyPrefix+st.loadingToken, s.m.loadTimeout, func(p *pair) error {
		b, found, err = p.legacy.Find(st.loadingToken)
		return err
	})
	if found {
		st.legacyToken = st.loadingToken
	}
	return b, found, err
}

// moved deletes the session that scs has stored, once it is saved under our key or
// destroyed.
func (st *state) moved(ctx context.Context) {
	if st.legacyToken == "" {
		return
	}
	token := st.legacyToken
	st.legacyToken = ""
	err := st.m.store.with(context.WithoutCancel(ctx), st.m.legacyPrefix+token, st.m.saveTimeout, func(p *pair) error { return p.legacy.Delete(token) })
	if err != nil {
		st.m.failed(ctx, err)
	}
}
