package rights_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/rights"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// answer is an error in Redis' words.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestMissing(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		// Redis 7.0.
		{"NOPERM this user has no permissions to run the 'get' command", "the command get"},
		{"NOPERM this user has no permissions to run the 'config|get' command", "the command config|get"},
		{"NOPERM this user has no permissions to access one of the keys used as arguments", "a key"},
		{"NOPERM this user has no permissions to access one of the channels used as arguments", "a channel"},
		{"ERR The user executing the script can't run this command or subcommand script: d3c2, on @user_script:1.", "a command in a script"},
		{"ERR The user executing the script can't access at least one of the keys mentioned in the command arguments", "a key in a script"},
		{"ERR The user executing the script can't publish to the channel mentioned in the command", "a channel in a script"},
		// Redis 8 and Valkey.
		{"NOPERM User u has no permissions to run the 'get' command", "the command get"},
		{"NOPERM No permissions to access a key", "a key"},
		{"ERR ACL failure in script: User u has no permissions to run the 'get' command script: d3c2, on @user_script:1.", "the command get in a script"},
		{"ERR ACL failure in script: No permissions to access a key", "a key in a script"},
		{"ERR ACL failure in script: No permissions to access a channel", "a channel in a script"},
		// Others.
		{"WRONGTYPE Operation against a key holding the wrong kind of value", ""},
		{"ERR unknown command 'increx'", ""},
	} {
		if got, ok := rights.Missing(fmt.Errorf("evalsha: %w", answer(tc.text))); got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: got %q, %v, want %q", tc.text, got, ok, tc.want)
		}
	}
	if _, ok := rights.Missing(errors.New("dial: NOPERM")); ok {
		t.Error("what Redis did not say is taken for its word")
	}
}

// The words of the server at hand.
func TestMissingOnAServer(t *testing.T) {
	s := redistest.NewServer(t)
	rdb, ctx := s.Client(t), t.Context()
	if err := rdb.Do(ctx, "acl", "setuser", "u", "on", ">secret", "~a*", "&a*", "+@all", "-get").Err(); err != nil {
		t.Fatal(err)
	}
	opts := s.Options()
	opts.Username, opts.Password = "u", "secret"
	u := redis.NewClient(opts)
	t.Cleanup(func() { u.Close() })
	for want, err := range map[string]error{
		"the command get":     u.Get(ctx, "a").Err(),
		"a key":               u.Set(ctx, "b", 1, time.Second).Err(),
		"a channel":           u.Publish(ctx, "b", 1).Err(),
		"a command in script": u.Eval(ctx, "return redis.call('GET', KEYS[1])", []string{"a"}).Err(),
		"pcall, in script":    u.Eval(ctx, "return redis.pcall('GET', KEYS[1])", []string{"a"}).Err(),
		"a key in script":     u.Eval(ctx, "return redis.call('SET', 'b', 1)", nil).Err(),
		"a channel in script": u.Eval(ctx, "return redis.call('PUBLISH', 'b', 1)", nil).Err(),
	} {
		got, ok := rights.Missing(err)
		if !ok || strings.HasSuffix(want, "in script") != strings.HasSuffix(got, "in a script") {
			t.Errorf("%s: got %q, %v of %v", want, got, ok, err)
		}
	}
}

func TestWatchSaysItOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := rights.NewWatch(slog.New(slog.NewTextHandler(&log, nil)))
		for range 100 {
			w.See(t.Context(), answer("NOPERM this user has no permissions to run the 'get' command"))
			w.See(t.Context(), answer("NOPERM this user has no permissions to access one of the keys used as arguments"))
			w.See(t.Context(), fmt.Errorf("evalsha: %w", answer("READONLY You can't write against a read only replica.")))
			w.See(t.Context(), answer("OOM command not allowed when used memory > 'maxmemory'."))
			for _, none := range []error{redis.Nil, redis.TxFailedErr, answer("NOSCRIPT No matching script."), answer("MOVED 1 a:1"), errors.New("EOF")} {
				w.See(t.Context(), none)
			}
			w.See(t.Context(), nil)
		}
		if got := strings.Count(log.String(), "\n"); got != 4 || !strings.Contains(log.String(), `right="the command get"`) {
			t.Errorf("got %d lines:\n%s", got, log.String())
		}
		time.Sleep(time.Minute)
		w.See(t.Context(), answer("NOPERM this user has no permissions to run the 'get' command"))
		if got := strings.Count(log.String(), "\n"); got != 5 {
			t.Errorf("after a minute: %d lines", got)
		}
		var none *rights.Watch
		none.See(t.Context(), answer("NOPERM"))
	})
}

func TestPipeline(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	prefix := redistest.Prefix(t)
	rdb.Set(t.Context(), prefix+"s", "v", time.Minute)
	pipe := rdb.Pipeline()
	text, fields, none := pipe.Get(t.Context(), prefix+"s"), pipe.HLen(t.Context(), prefix+"s"), pipe.Get(t.Context(), prefix+"none")
	if err := rights.Pipeline(pipe.Exec(t.Context())); err != nil {
		t.Errorf("a key of another type and none: got %v, want nil", err)
	}
	if text.Err() != nil || fields.Err() == nil || !errors.Is(none.Err(), redis.Nil) {
		t.Errorf("the commands: got %v, %v, %v", text.Err(), fields.Err(), none.Err())
	}
	missing := redis.NewCmd(t.Context(), "get")
	missing.SetErr(noRightError("NOPERM User app has no permissions to run the 'get' command"))
	if err := rights.Pipeline([]redis.Cmder{missing}, missing.Err()); err == nil {
		t.Error("a missing right: got nil")
	}
	dead := redistest.NewServer(t)
	gone := dead.Client(t)
	dead.Kill()
	pipe = gone.Pipeline()
	pipe.Get(t.Context(), "k")
	if err := rights.Pipeline(pipe.Exec(t.Context())); err == nil {
		t.Error("a dead server: got nil")
	}
}

type noRightError string

func (e noRightError) Error() string { return string(e) }
func (noRightError) RedisError()     {}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"READONLY You can't write against a read only replica.": "READONLY", "OOM command not allowed": "OOM", "ERR syntax error": "ERR", "WRONGTYPE": "WRONGTYPE",
		"redis: nil": "", "NOSCRIPT No matching script.": "", "MOVED 1 a:1": "", "ASK 1 a:1": "", "TRYAGAIN x": "", "": "",
	} {
		if word, ok := rights.Refused(fmt.Errorf("get: %w", answer(text))); word != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t, want %q", text, word, ok, want)
		}
	}
	if _, ok := rights.Refused(errors.New("READONLY")); ok {
		t.Error("what Redis did not say is taken for its word")
	}
}
