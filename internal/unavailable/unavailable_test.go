package unavailable_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// answer is an error in the words of Redis.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestIs(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"nil":              {nil, false},
		"refused":          {refused, true},
		"closed":           {io.EOF, true},
		"timeout":          {fmt.Errorf("lookup: %w", context.DeadlineExceeded), true},
		"client left":      {context.Canceled, false},
		"nothing there":    {redis.Nil, false},
		"no sentinel":      {errors.New("redis: all sentinels specified in configuration are unreachable"), true},
		"loading":          {answer("LOADING Redis is loading the dataset in memory"), true},
		"full":             {answer("OOM command not allowed when used memory > 'maxmemory'."), true},
		"busy":             {answer("BUSY Redis is busy running a script."), true},
		"unkillable":       {answer("UNKILLABLE Sorry the script already executed write commands"), true},
		"no replicas":      {answer("NOREPLICAS Not enough good replicas to write."), true},
		"slot moves":       {answer("TRYAGAIN Multiple keys request during rehashing of slot"), true},
		"many clients":     {answer("ERR max number of clients reached"), true},
		"in a script":      {answer("ERR Error running script (call to f_1): @user_script:1: @user_script: 1: OOM command not allowed"), true},
		"no right":         {answer("NOPERM User app has no permissions to run the 'get' command"), false},
		"another type":     {answer("WRONGTYPE Operation against a key holding the wrong kind of value"), false},
		"wrong password":   {answer("WRONGPASS invalid username-password pair or user is disabled."), false},
		"word in the text": {answer("ERR the OOM killer"), false},
		"a mistake":        {errors.New("redis: can't marshal struct {}"), false},
		"wrapped":          {fmt.Errorf("cache: %w", unavailable.Err), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := unavailable.Is(tc.err); got != tc.want {
				t.Errorf("Is: got %t, want %t", got, tc.want)
			}
			wrapped := unavailable.Wrap(tc.err)
			if got := errors.Is(wrapped, unavailable.Err); got != tc.want {
				t.Errorf("Wrap matches Err: got %t, want %t", got, tc.want)
			}
			if !errors.Is(wrapped, tc.err) {
				t.Error("Wrap lost its cause")
			}
		})
	}
}

func TestOfAServerThatIsGone(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	s.Kill()
	if err := rdb.Get(t.Context(), "k").Err(); !errors.Is(unavailable.Wrap(err), unavailable.Err) {
		t.Errorf("%v is not recognized", err)
	}
}

// An error says once that Redis is unavailable, and is itself when it is wrapped
// again.
func TestWrapOnce(t *testing.T) {
	once := unavailable.Wrap(io.EOF)
	again := unavailable.Wrap(fmt.Errorf("session: load: %w", once))
	if once.Error() != "redis is unavailable: EOF" || again.Error() != "session: load: redis is unavailable: EOF" {
		t.Errorf("got %q, %q", once, again)
	}
	if err := unavailable.Wrap(redis.Nil); err != redis.Nil { //nolint:errorlint // itself
		t.Errorf("no outage: got %v", err)
	}
	if unavailable.Wrap(nil) != nil {
		t.Error("nil is not nil")
	}
}

func TestPassingText(t *testing.T) {
	for text, want := range map[string]bool{
		"LOADING Redis is loading": true, "ERR max number of clients reached": true, "max number of clients + 1": true, "OOM": true, "ERR OOM command not allowed": true,
		"": false, "ERR": false, "LOADINGS x": false, "WRONGTYPE LOADING": false, "oom": false, "ERR max": false,
		"ERR Error running script (call to f_1): @user_script:12: @user_script: 12: -READONLY You can't write": true, "ERR @user_script: 1: WRONGTYPE x": false,
	} {
		if got := unavailable.PassingText(text); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
		if got := unavailable.Passing(answer(text)); got != want {
			t.Errorf("%q as an error: got %t", text, got)
		}
	}
	if unavailable.Passing(errors.New("LOADING")) {
		t.Error("what Redis did not say is taken for its word")
	}
}
