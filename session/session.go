package session

import (
	"fmt"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
)

// Manager keeps sessions. Its data methods (Put, GetString, Pop, RememberMe …)
// have the names and signatures of scs.SessionManager's and take the request's
// context. It is safe for concurrent use.
type Manager struct {
	scs *scs.SessionManager
	config
	failures failures
	key      any // the context key of scs' data, see learnKey
	store    *store
	index    *index
}

// New returns a Manager that keeps sessions in rdb. It does not dial; all
// mistakes are reported at once, as joined [*OptionError]. Create one and
// reuse it: scs starts a goroutine for the memory store that it makes by default and that is
// replaced here, which wakes once a minute and cannot be stopped without a race.
func New(rdb redis.UniversalClient, opts ...Option) (*Manager, error) {
	m := &Manager{scs: scs.New(), config: defaults()}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&m.config)
		}
	}
	if err := m.complete(rdb); err != nil {
		return nil, err
	}
	if !m.cookie.Secure {
		m.logger.Warn("the session cookie is sent over plain HTTP")
	}
	if len(m.sealKeys) > 0 {
		var err error
		if m.seal, err = newSealer(m.sealKeys, m.readPlain); err != nil {
			return nil, fmt.Errorf("session: WithEncryption: %w", err)
		}
	}
	s, err := newStore(rdb, m)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	m.store, m.index = s, newIndex(rdb, m)
	return m, m.steer()
}
