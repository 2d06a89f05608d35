//go:build unix

package redistest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// SlotMove is a slot on its way from one master of a cluster to another, as
// redis-cli --cluster reshard moves it.
type SlotMove struct {
	Slot     int
	From, To *Server
	masters  []*Server
}

// OpenSlot begins to move the slot of key to another master. Until Finish, keys that
// are not there any more are at the new one (ASK), and a command with keys on both
// is refused (TRYAGAIN).
func (c *ClusterServers) OpenSlot(t testing.TB, key string) *SlotMove {
	t.Helper()
	from := c.MasterOf(t, key)
	masters := c.Masters()
	at := slices.IndexFunc(masters, func(s *Server) bool { return s != from })
	if at < 0 {
		t.Fatal("redistest: there is no other master")
	}
	m := &SlotMove{From: from, To: masters[at], masters: masters}
	m.on(from, func(ctx context.Context, rdb *redis.Client) error {
		slot, err := rdb.ClusterKeySlot(ctx, key).Result()
		m.Slot = int(slot)
		return err
	}, t)
	m.set(t, m.To, "importing", m.id(t, m.From))
	m.set(t, m.From, "migrating", m.id(t, m.To))
	return m
}

// Migrate moves these keys, or all keys of the slot if there are none.
func (m *SlotMove) Migrate(t testing.TB, keys ...string) {
	t.Helper()
	m.on(m.From, func(ctx context.Context, rdb *redis.Client) error {
		for {
			batch := keys
			if len(keys) == 0 {
				var err error
				if batch, err = rdb.ClusterGetKeysInSlot(ctx, m.Slot, 100).Result(); err != nil || len(batch) == 0 {
					return err
				}
			}
			args := []any{"migrate", "127.0.0.1", m.To.port, "", 0, 5000, "keys"}
			for _, key := range batch {
				args = append(args, key)
			}
			if err := rdb.Do(ctx, args...).Err(); err != nil || len(keys) > 0 {
				return err
			}
		}
	}, t)
}

// MigrateHalf moves half of the keys of the slot.
func (m *SlotMove) MigrateHalf(t testing.TB) {
	t.Helper()
	var keys []string
	m.on(m.From, func(ctx context.Context, rdb *redis.Client) (err error) {
		keys, err = rdb.ClusterGetKeysInSlot(ctx, m.Slot, 1000).Result()
		return err
	}, t)
	if half := (len(keys) + 1) / 2; half > 0 {
		m.Migrate(t, keys[:half]...)
	}
}

// Finish moves what is left, and gives the slot to the new master.
func (m *SlotMove) Finish(t testing.TB) {
	t.Helper()
	m.Migrate(t)
	id := m.id(t, m.To)
	m.set(t, m.To, "node", id) // first: from then on it is served there
	for _, s := range m.masters {
		if s != m.To {
			m.set(t, s, "node", id)
		}
	}
}

func (m *SlotMove) set(t testing.TB, s *Server, state, id string) {
	t.Helper()
	m.on(s, func(ctx context.Context, rdb *redis.Client) error {
		return rdb.Do(ctx, "cluster", "setslot", m.Slot, state, id).Err()
	}, t)
}

func (m *SlotMove) id(t testing.TB, s *Server) (id string) {
	t.Helper()
	m.on(s, func(ctx context.Context, rdb *redis.Client) (err error) {
		id, err = rdb.ClusterMyID(ctx).Result()
		return err
	}, t)
	return id
}

func (m *SlotMove) on(s *Server, fn func(ctx context.Context, rdb *redis.Client) error, t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	rdb := redis.NewClient(s.Options())
	defer rdb.Close()
	if err := fn(ctx, rdb); err != nil {
		t.Fatalf("redistest: slot %d: %v", m.Slot, err)
	}
}
