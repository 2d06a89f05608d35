package session

import (
	"fmt"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/prefetch"
)

// Manager keeps sessions in Redis and is their middleware, [Manager.Handler].
//
// Its data methods (Put, GetString, Pop, RememberMe …) have the names and
// signatures of scs.SessionManager's. They take the context of a request inside
// the Handler and panic with any other, because that is a mistake in the
// program. They work on the session in memory: the first of them in a request
// loads it, and the Handler saves it once.
//
// The methods for operators and for other sessions of a user take any context:
// [Manager.Sessions], [Manager.Revoke], [Manager.RevokeAll], [Manager.Inspect]
// and [Manager.Iterate].
//
// A Manager is safe for concurrent use, and so is the session of one request.
// Its settings do not change after [New].
type Manager struct {
	scs *scs.SessionManager
	config
	failures failures
	key      any // the context key of scs' data, see learnKey
	store    *store
	index    *index
	usage    prefetch.Usage // of sessions that are read before they are used
}

// New returns a Manager that keeps sessions in rdb: a client of package
// connect, or any go-redis client. It does not dial, so it succeeds while Redis
// is down. All mistakes in the options are reported at once, as joined
// [*OptionError]; a nil Option is skipped, and the last of a kind wins. A
// cluster client that reads from replicas is a mistake: a session would be
// missing right after login.
//
// Create one Manager and reuse it: scs starts a goroutine for the memory store
// that it makes by default and that is replaced here, which wakes once a minute
// and cannot be stopped without a race. The caller closes rdb.
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
