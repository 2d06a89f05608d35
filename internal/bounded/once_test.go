package bounded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A clone, which go-redis makes of commands that it sends to several nodes, is
// not retried either, and its reply is not that of the first.
func TestClonesAreSentOnce(t *testing.T) {
	one, ints := redis.NewCmd(t.Context(), "evalsha", "x", 0), redis.NewIntSliceCmd(t.Context(), "evalsha", "x", 0)
	for name, cmd := range map[string]redis.Cmder{"Cmd": onceCmd{one}, "IntSliceCmd": onceInts{ints}} {
		clone := cmd.Clone()
		if !cmd.NoRetry() || !clone.NoRetry() {
			t.Errorf("%s: NoRetry %t, of its clone %t, want true", name, cmd.NoRetry(), clone.NoRetry())
		}
		if fmt.Sprint(clone.Args()) != fmt.Sprint(cmd.Args()) {
			t.Errorf("%s: the clone has %v, want %v", name, clone.Args(), cmd.Args())
		}
		if clone.SetErr(errors.New("of the clone")); cmd.Err() != nil {
			t.Errorf("%s: the clone writes to the first: %v", name, cmd.Err())
		}
	}
}

// Whatever its type, a command that is sent once says so, and so does its clone.
func TestOnceOfEveryType(t *testing.T) {
	ctx := t.Context()
	known := []redis.Cmder{
		redis.NewCmd(ctx, "x"), redis.NewStatusCmd(ctx, "x"), redis.NewStringCmd(ctx, "x"), redis.NewIntCmd(ctx, "x"), redis.NewBoolCmd(ctx, "x"), redis.NewFloatCmd(ctx, "x"),
		redis.NewSliceCmd(ctx, "x"), redis.NewDurationCmd(ctx, time.Second, "x"), redis.NewStringSliceCmd(ctx, "x"), redis.NewIntSliceCmd(ctx, "x"), redis.NewBoolSliceCmd(ctx, "x"),
		redis.NewMapStringStringCmd(ctx, "x"),
	}
	unknown := []redis.Cmder{redis.NewZSliceCmd(ctx, "x"), redis.NewTimeCmd(ctx, "x"), redis.NewXMessageSliceCmd(ctx, "x")}
	for _, cmd := range slices.Concat(known, unknown) {
		wrapped, ok := Once(cmd)
		if ok != slices.Contains(known, cmd) || !wrapped.NoRetry() || wrapped.Name() != "x" || cmd.NoRetry() {
			t.Errorf("%T: got %T, known %v", cmd, wrapped, ok)
		}
		if inner, has := wrapped.(interface{ Itself() redis.Cmder }); !has || inner.Itself() != cmd {
			t.Errorf("%T: it is lost", cmd)
		}
		clone := wrapped.Clone()
		if !clone.NoRetry() || reflect.TypeOf(clone) != reflect.TypeOf(wrapped) {
			t.Errorf("%T: its clone is %T", cmd, clone)
		}
		if again, ok := Once(wrapped); again != wrapped || !ok {
			t.Errorf("%T: it is wrapped twice", cmd)
		}
		failure := errors.New("no")
		if wrapped.SetErr(failure); !errors.Is(cmd.Err(), failure) {
			t.Errorf("%T: the caller does not see its error", cmd)
		}
	}
}

func TestScriptArgs(t *testing.T) {
	for want, got := range map[string][]any{
		"[eval s 0]":         ScriptArgs("eval", "s", nil, nil),
		"[evalsha h 1 k]":    ScriptArgs("evalsha", "h", []string{"k"}, nil),
		"[eval s 2 a b 1 x]": ScriptArgs("eval", "s", []string{"a", "b"}, []any{1, "x"}),
		"[eval s 0 1]":       ScriptArgs("eval", "s", nil, []any{1}),
	} {
		if fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

func TestUnmarked(t *testing.T) {
	ok, failed := redis.NewCmd(t.Context(), "get", "a"), redis.NewCmd(t.Context(), "get", "b")
	failed.SetErr(redis.Nil)
	for name, tc := range map[string]struct {
		cmds []redis.Cmder
		want bool
	}{"none": {nil, true}, "all empty": {[]redis.Cmder{ok, ok}, true}, "one with an error": {[]redis.Cmder{ok, failed}, false}} {
		if got := Unmarked(tc.cmds); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// endless unwraps to itself.
type endless struct{ redis.UniversalClient }

func (e endless) Unwrap() redis.UniversalClient { return e }

func TestUnwrap(t *testing.T) {
	inner := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	defer inner.Close()
	if got := Unwrap(inner); got != any(inner) {
		t.Errorf("a plain client: got %v", got)
	}
	if _, ok := Unwrap(endless{inner}).(endless); !ok { // and returns
		t.Error("a wrapper of itself is not returned")
	}
	if Unwrap(nil) != nil {
		t.Error("nil is not nil")
	}
}

// What a Caller must say of its client is said once, when it is watched.
func TestWatchWarnsOfClientsWithoutDeadlines(t *testing.T) {
	for name, tc := range map[string]struct {
		rdb  Client
		want int
	}{
		"defaults": {redis.NewClient(&redis.Options{}), 1},
		"honors":   {redis.NewClient(&redis.Options{ContextTimeoutEnabled: true}), 0},
		"cluster":  {redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true}), 0},
		"ring":     {redis.NewRing(&redis.RingOptions{}), 1},
		"unknown":  {struct{ Client }{redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})}, 1},
	} {
		var log strings.Builder
		c := New(tc.rdb).Watch(slog.New(slog.NewTextHandler(&log, nil)))
		if got := strings.Count(log.String(), "ignores deadlines"); got != tc.want {
			t.Errorf("%s: %d warnings, want %d", name, got, tc.want)
		}
		log.Reset()
		_ = c.Do(t.Context(), func(context.Context) error { return refusal("NOPERM No permissions to access a key") })
		if !strings.Contains(log.String(), "lacks a right") {
			t.Errorf("%s: a missing right is not logged: %q", name, log.String())
		}
	}
}

// refusal is an error in the words of Redis.
type refusal string

func (r refusal) Error() string { return string(r) }
func (refusal) RedisError()     {}
