package lockmw_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// An operator who sees the keys in Redis takes a lock away by its own.
func TestForceReleaseAt(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for name, opts := range map[string][]lockmw.Option{"one": nil, "readers": {lockmw.WithReadWrite(true)}, "permits": {lockmw.WithPermits(2)}} {
			rdb := g.Client(t)
			l := locker(t, rdb, append(opts, lockmw.WithTTL(time.Minute), lockmw.WithNodeTimeout(10*time.Second))...)
			k := acquire(t, l, "key")
			info, err := l.Inspect(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			at := l.KeyPrefix() + "{2c70e12b7a0646f92279f427c7b38e73}" // of "key"
			for _, part := range []string{"", ":m"} {
				if n := rdb.Exists(t.Context(), at+part).Val(); n == 1 != (part == "" && name == "one" || part == ":m" && name != "one") {
					t.Errorf("%s: %d of the key %s", name, n, at+part)
				}
			}
			if ok, err := l.ForceReleaseAt(t.Context(), at, "somebody else"); ok || err != nil {
				t.Errorf("%s: taken from somebody else: %v, %v", name, ok, err)
			}
			if ok, err := l.ForceReleaseAt(t.Context(), at, info.Owner); !ok || err != nil {
				t.Errorf("%s: got %v, %v", name, ok, err)
			}
			if ok, err := l.ForceReleaseAt(t.Context(), at, info.Owner); ok || err != nil {
				t.Errorf("%s: taken twice: %v, %v", name, ok, err)
			}
			if err := k.Release(t.Context()); !errors.Is(err, lockmw.ErrLost) {
				t.Errorf("%s: the holder is told %v", name, err)
			}
		}
	})
}

func TestForceReleaseAtIsForOwnLocks(t *testing.T) {
	l := locker(t, redistest.Standalone(t).Client(t))
	const hash = "{2c70e12b7a0646f92279f427c7b38e73}"
	for _, key := range []string{"", hash, l.KeyPrefix(), l.KeyPrefix() + "{2c70}", l.KeyPrefix() + hash + ":q", l.KeyPrefix() + strings.ToUpper(hash), "x" + l.KeyPrefix() + hash} {
		if _, err := l.ForceReleaseAt(t.Context(), key, "o"); !errors.Is(err, lockmw.ErrForeign) {
			t.Errorf("%q: got %v", key, err)
		}
	}
	if !l.CanForceRelease() {
		t.Error("it is said that it cannot be done")
	}
	votes := newMasters(t, 3).locker(t)
	if votes.CanForceRelease() {
		t.Error("masters that vote cannot be asked alone")
	}
	if _, err := votes.ForceReleaseAt(t.Context(), votes.KeyPrefix()+hash, "o"); err == nil || errors.Is(err, lockmw.ErrForeign) {
		t.Errorf("got %v", err)
	}
}
