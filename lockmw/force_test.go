package lockmw_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// An operator that sees the keys in Redis takes a lock from its holder by that key.
func TestForceReleaseByTheRedisKey(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for name, opts := range map[string][]lockmw.Option{"one": nil, "readers": {lockmw.WithReadWrite(true)}, "permits": {lockmw.WithPermits(2)}} {
			rdb := g.Client(t)
			l := locker(t, rdb, append(opts, lockmw.WithTTL(time.Minute), lockmw.WithTimeout(10*time.Second))...)
			k := acquire(t, l, "key")
			info, err := l.Inspect(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			at := l.RedisKey("key")
			if !strings.HasSuffix(at, ":v1:default:{2c70e12b7a0646f92279f427c7b38e73}") {
				t.Errorf("the key in Redis is %s", at)
			}
			for _, part := range []string{"", ":m"} {
				if n := rdb.Exists(t.Context(), at+part).Val(); n == 1 != (part == "" && name == "one" || part == ":m" && name != "one") {
					t.Errorf("%s: %d of the key %s", name, n, at+part)
				}
			}
			if ok, err := l.ForceRelease(t.Context(), at, "another"); ok || err != nil {
				t.Errorf("%s: taken from another: %v, %v", name, ok, err)
			}
			if ok, err := l.ForceRelease(t.Context(), at, info.Owner); !ok || err != nil {
				t.Errorf("%s: got %v, %v", name, ok, err)
			}
			if ok, err := l.ForceRelease(t.Context(), at, info.Owner); ok || err != nil {
				t.Errorf("%s: taken twice: %v, %v", name, ok, err)
			}
			if err := k.Release(t.Context()); !errors.Is(err, lockmw.ErrLost) {
				t.Errorf("%s: the holder is told %v", name, err)
			}
		}
	})
}

func TestForceReleaseRefusesOtherKeys(t *testing.T) {
	l := locker(t, redistest.Standalone(t).Client(t))
	own := l.RedisKey("key")
	prefix, hash, _ := strings.Cut(own, "{")
	hash = "{" + hash
	if !l.CanForceRelease(own) || !l.CanForceRelease(own+":m") {
		t.Error("its own lock is refused")
	}
	for _, key := range []string{"", hash, prefix, prefix + "{2c70}", own + ":q", prefix + strings.ToUpper(hash), "x" + own} {
		if _, err := l.ForceRelease(t.Context(), key, "o"); err == nil || errors.Is(err, lockmw.ErrUnavailable) || !strings.Contains(err.Error(), "not a lock of this Locker") {
			t.Errorf("%q: got %v", key, err)
		}
		if l.CanForceRelease(key) {
			t.Errorf("%q is accepted", key)
		}
	}
	masters := newMasters(t, 3).locker(t)
	if masters.CanForceRelease(masters.RedisKey("key")) {
		t.Error("a lock of several masters can be taken from one of them")
	}
	if _, err := masters.ForceRelease(t.Context(), masters.RedisKey("key"), "o"); err == nil || !strings.Contains(err.Error(), "NewRedlock") {
		t.Errorf("got %v", err)
	}
}
