package wstest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

func TestMain(m *testing.M) { redistest.Main(m) }

type middleware interface {
	Handler(next http.Handler) http.Handler
}

// A WebSocket works behind each middleware and behind all of them: messages go
// both ways, and a session changed before the upgrade sets its cookie with it.
func TestUpgrades(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	limiter, err := ratelimit.New(rdb, redis_rate.PerMinute(100), ratelimit.WithKeyPrefix(prefix+"r"))
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := session.New(rdb, session.WithKeyPrefix(prefix+"s"), session.WithCookie(session.Cookie{Insecure: true}))
	if err != nil {
		t.Fatal(err)
	}
	responses, err := cache.New(rdb, cache.WithKeyPrefix(prefix+"c"))
	if err != nil {
		t.Fatal(err)
	}
	locks, err := lockmw.New(rdb, lockmw.WithKeyPrefix(prefix+"l"), lockmw.WithMethods(http.MethodGet), lockmw.WithKey(func(r *http.Request) (string, error) { return r.URL.Path, nil }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locks.Close(context.Background()) })
	for name, chain := range map[string][]middleware{
		"ratelimit": {limiter}, "session": {sessions}, "cache": {responses}, "lockmw": {locks},
		"all": {limiter, sessions, responses, locks},
	} {
		t.Run(name, func(t *testing.T) {
			usesSession := name == "session" || name == "all"
			var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if usesSession {
					sessions.Put(r.Context(), "visits", sessions.GetInt(r.Context(), "visits")+1)
				}
				conn, err := websocket.Accept(w, r, nil)
				if err != nil {
					t.Errorf("accept: %v", err)
					return
				}
				defer conn.CloseNow()
				for {
					kind, message, err := conn.Read(r.Context())
					if err != nil {
						return
					}
					if usesSession {
						message = fmt.Appendf(message, " %d", sessions.GetInt(r.Context(), "visits"))
					}
					if err := conn.Write(r.Context(), kind, message); err != nil {
						return
					}
				}
			})
			for _, c := range slices.Backward(chain) {
				h = c.Handler(h)
			}
			srv := httptest.NewServer(h)
			defer srv.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			header := http.Header{}
			for visit := 1; visit <= 2; visit++ {
				conn, resp, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{HTTPHeader: header})
				if err != nil {
					t.Fatal(err)
				}
				if cookies := resp.Cookies(); usesSession && visit == 1 {
					if len(cookies) != 1 {
						t.Fatalf("cookies of the upgrade: %v, want the session's", cookies)
					}
					header.Set("Cookie", cookies[0].Name+"="+cookies[0].Value)
				}
				for _, text := range []string{"hello", "again"} {
					if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
						t.Fatal(err)
					}
					want := text
					if usesSession {
						want = fmt.Sprintf("%s %d", text, visit)
					}
					if _, got, err := conn.Read(ctx); err != nil || string(got) != want {
						t.Fatalf("got %q, %v, want %q", got, err, want)
					}
				}
				if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
