package lockmw

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// What the scripts write is what Go reads, and the numbers that both know are
// the same.
func TestTheGrammarIsTheSameInLuaAndGo(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	eval := func(source string, args ...any) any {
		t.Helper()
		v, err := rdb.Eval(t.Context(), withGrammar(source), []string{"lockmw:v1:x:{y}"}, args...).Result()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got := eval("return FENCES"); got != int64(fencesPerGrant) {
		t.Errorf("%v fences a grant in Lua, %d in Go", got, fencesPerGrant)
	}
	for _, kind := range []string{kindHeld, kindGrace, kindReserved, kindFree} {
		owner := "inst:1"
		if kind == kindFree {
			owner = ""
		}
		s, _ := eval("return format(ARGV[1], ARGV[2], 1700000000000, 10000, '1700000000000000', '1')", kind, owner).(string)
		v, ok := parseLock(s)
		if want := (lockValue{kind: kind, owner: owner, expiry: 1700000000000, fence: 1700000000000015}); !ok || v != want {
			t.Errorf("%q: Go reads %+v, %v, want %+v", s, v, ok, want)
		}
		if back := eval("return table.concat({parse(ARGV[1])}, ' ')", s); back != kind+" "+owner+" 1700000000000 10000 1700000000000000 1" {
			t.Errorf("%q: Lua reads %v", s, back)
		}
	}
	s, _ := eval("return format_state('3', 10000, '1700000000000000', 1700000000001, 'inst:1')").(string)
	if v, ok := parseState(s); !ok || v != (stateValue{permits: 3, fence: 1700000000000000, grace: 1700000000001, writer: "inst:1"}) {
		t.Errorf("%q: Go reads %+v, %v", s, v, ok)
	}
	if back := eval("return table.concat({parse_state(ARGV[1])}, ' ')", s); back != "3 10000 1700000000000000 1700000000001 inst:1" {
		t.Errorf("%q: Lua reads %v", s, back)
	}
	if free := "f|0|0|1000|0"; eval("return string.match(ARGV[1], FREE)", free) != "1000" || eval("return format('f', '', '0', '0', '1000', '0')") != free {
		t.Error("FREE does not match a free lock")
	}
	if got := eval("return tostring(string.match(ARGV[1], FREE))", "f|0|0|1000|1"); got != "nil" {
		t.Errorf("FREE matches a lock with waiters: %v", got)
	}
}

// A script has the functions of the grammar that it calls, and no others: each
// one costs a little in every call.
func TestAScriptHasTheFunctionsItCalls(t *testing.T) {
	got := withGrammar("return clock()")
	if !strings.Contains(got, "local function clock(") || strings.Contains(got, "local function parse(") || !strings.Contains(got, "FENCES") {
		t.Errorf("got %s", got)
	}
	if got := withGrammar("hold(ARGV[1])"); !strings.Contains(got, "local function format(") {
		t.Error("what hold calls is missing")
	}
	rdb := redistest.Standalone(t).Client(t)
	for name, source := range map[string]string{
		"acquire": acquireSource, "queue": queueSource, "renew": renewSource, "free": freeSource, "release": releaseSource, "force": forceSource, "inspect": inspectSource, "vote": voteSource,
		"fence": fenceSource, "share": shareSource, "share_renew": shareRenewSource, "share_release": shareReleaseSource, "share_force": shareForceSource,
	} {
		if _, err := redis.NewScript(withGrammar(source)).Load(t.Context(), rdb).Result(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is at a key, reading it neither panics nor invents a lock.
func FuzzParseLock(f *testing.F) {
	f.Add("ha:1|1700000000000|9000|1000|0")
	f.Add("f|0|0|1000|0")
	f.Add("3|9000|1000|0|a:1")
	f.Add("h|||||")
	f.Fuzz(func(t *testing.T, s string) {
		if v, ok := parseLock(s); ok && (!strings.HasPrefix(s, v.kind+v.owner+"|") || v.expiry < 0 || strings.Contains(v.owner, "|")) {
			t.Errorf("%q: %+v", s, v)
		}
		if v, ok := parseState(s); ok && (v.permits < 0 || v.grace < 0 || !strings.HasSuffix(s, fmt.Sprint("|", v.writer))) {
			t.Errorf("%q: %+v", s, v)
		}
	})
}
