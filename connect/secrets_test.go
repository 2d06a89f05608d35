package connect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// buffer collects what many goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) Printf(_ context.Context, format string, v ...any) {
	fmt.Fprintf(b, format+"\n", v...)
}

// One whole life of connections, right and wrong, with everything they say
// collected: errors, logs (go-redis' too), strings, JSON, health. No secret is
// in it, be it in plain, percent-encoded or in hexadecimal.
func TestNoSecretIsEverShown(t *testing.T) {
	const data, watch, rotated, wrong = "dataSecret#1", "watchSecret#2", "rotatedSecret3", "wrongSecret4"
	var said buffer
	redis.SetLogger(&said)
	defer redis.SetLogger(&logging{io.Discard})
	say := func(v ...any) {
		for _, v := range v {
			fmt.Fprintf(&said, "%v\n%+v\n%#v\n%s\n%q\n", v, v, v, v, v)
			if b, err := json.Marshal(v); err == nil {
				fmt.Fprintf(&said, "%s\n", b)
			}
			slog.New(slog.NewJSONHandler(&said, nil)).Info("x", slog.Any("v", v))
			slog.New(slog.NewTextHandler(&said, nil)).Info("x", slog.Any("v", v))
		}
	}
	log := connect.WithLogger(slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})))

	s := redistest.NewSentinel(t, redistest.WithData(redistest.WithACL("alice", data), redistest.WithTLS()), redistest.WithSentinelTLS(), redistest.WithSentinelACL("watch", watch))
	good := s.Target().URL
	t.Log(good)
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	urls := map[string]string{
		"good":            good,
		"wrong_data":      strings.Replace(good, "dataSecret%231", wrong, 1),
		"wrong_file":      strings.Replace(good, ":dataSecret%231", "", 1) + "&password_file=" + file,
		"wrong_watch":     good + "x", // the password file does not exist
		"plain":           strings.Replace(good, "rediss", "redis", 1),
		"port":            strings.Replace(good, "/mymaster", ":bad/mymaster", 1),
		"unescaped":       strings.Replace(good, "%231", "#1", 1),
		"slash":           strings.Replace(good, "%231", "/", 1),
		"in query":        good + "&password=" + wrong,
		"unknown":         good + "&pasword=" + wrong,
		"unreachable":     "redis://alice:" + wrong + "@127.0.0.1:1",
		"unknown host":    "redis://alice:" + wrong + "@no.such.host.invalid",
		"cluster":         "rediss+cluster://alice:dataSecret%231@" + s.Data[0].Addr(),
		"no such scheme":  wrong + "://alice:" + wrong + "@h",
		"wrong authority": strings.Replace(good, "ca_file", "server_name=x&sentinel_ca_file", 1),
	}
	set := connect.NewSet(log)
	for name, url := range urls {
		config, err := connect.Parse(url)
		say(config, err, set.Add(name, url, connect.WithTimeouts(connect.Timeouts{Dial: 200 * time.Millisecond, Read: 200 * time.Millisecond})))
	}
	provided, err := connect.Open(strings.Replace(good, "alice:dataSecret%231@", "", 1), connect.WithName("provided"), log, connect.WithCredentials(func(context.Context) (string, string, error) {
		return "alice", rotated, nil
	}))
	say(provided, err)
	if err == nil {
		say(provided.Ready(within(t, 300*time.Millisecond)))
		defer provided.Close(context.WithoutCancel(t.Context()))
	}
	t.Setenv("LEAK_URL", strings.Replace(good, "%231", "#1", 1))
	t.Setenv("LEAK_X_URL", "redis://alice:"+wrong+"@h:port")
	t.Setenv("LEAK_X_PASSWORD", rotated)
	t.Setenv("LEAK_X_PASWORD", rotated)
	t.Setenv("LEAK_ALIASES", "a="+"b")
	env, err := connect.FromEnv("LEAK")
	say(env, err)

	say(set, set.Names(), struct{ set *connect.Set }{set}, struct{ conn *connect.Conn }{provided})
	for name, c := range set.All() {
		ctx := within(t, 500*time.Millisecond)
		err := c.Ready(ctx)
		t.Logf("%s: %v", name, err)
		say(name, c, c.Info(), err, c.Health(ctx), c.Stats(), c.Client().Get(ctx, "k").Err(), c.Batched().Get(ctx, "k").Err())
		nodes, err := c.Nodes(ctx)
		say(nodes, err, c.Key("a"))
		for key, err := range c.Keys(ctx, "*") {
			say(key, err)
		}
		for range 8 { // until the breaker opens
			say(c.Client().Incr(within(t, 50*time.Millisecond), "k").Err())
		}
		w := httptest.NewRecorder()
		c.HealthHandler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		say(w.Body.String(), w.Header())
	}
	w := httptest.NewRecorder()
	set.HealthHandler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	say(w.Body.String())
	for _, d := range s.Data {
		d.Kill()
	}
	if c, err := set.Get("good"); err == nil {
		for range 8 {
			say(c.Client().Incr(within(t, 100*time.Millisecond), "k").Err())
		}
	}
	say(set.Close(within(t, patience)))

	out := said.String()
	for _, secret := range []string{"dataSecret", "watchSecret", rotated, wrong} {
		for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
			if i := strings.Index(out, form); i >= 0 {
				t.Errorf("%s is shown: …%s…", secret, out[max(0, i-200):min(len(out), i+60)])
			}
		}
	}
	for _, want := range []string{"good (rediss+sentinel://alice:redacted@", "refused", "does not answer", "check user and password"} {
		if !strings.Contains(out, want) {
			t.Errorf("the scenario never said %q: it shows nothing", want)
		}
	}
	t.Logf("%d bytes were said", len(out))
}

type logging struct{ w io.Writer }

func (l *logging) Printf(context.Context, string, ...any) {}

// %#v prints no fields, which other goroutines use.
func TestGoStringIsString(t *testing.T) {
	conn, err := connect.Open("redis://alice:secret@localhost:1", connect.WithName("shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	set := connect.NewSet()
	if err := set.Add("shop", "redis://localhost:1"); err != nil {
		t.Fatal(err)
	}
	defer set.Close(context.WithoutCancel(t.Context()))
	for _, v := range []fmt.Stringer{conn, set} {
		if got := fmt.Sprintf("%#v", v); got != v.String() {
			t.Errorf("got %s, want %s", got, v)
		}
	}
}
