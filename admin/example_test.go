package admin_test

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

func Example() {
	set := connect.NewSet()
	defer set.Close(context.Background())
	if err := set.Add("default", "redis://127.0.0.1:6379"); err != nil {
		panic(err)
	}
	conn, err := set.Get("default")
	if err != nil {
		panic(err)
	}
	responses, err := cache.New(conn.Client())
	if err != nil {
		panic(err)
	}
	panel, err := admin.New(set,
		admin.WithTitle("orders, staging"),
		admin.WithAuthorizer(func(r *http.Request) (admin.Access, error) {
			// A proxy in front has asked who it is, and removes what clients send.
			switch user := r.Header.Get("X-Staff"); user {
			case "":
				return admin.Access{}, errors.New("not one of our staff")
			default:
				return admin.Access{User: user, Read: true, Write: user == "ann"}, nil
			}
		}),
		admin.WithAudit(func(ctx context.Context, e admin.Event) {
			slog.InfoContext(ctx, "panel", "user", e.User, "action", e.Action, "key", e.Key, "detail", e.Detail, "error", e.Err)
		}),
		admin.WithCache("default", "pages", responses))
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/", panel.Handler())
}

func ExamplePanel_Handler() {
	set := connect.NewSet()
	defer set.Close(context.Background())
	panel, err := admin.New(set, admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return admin.Access{Read: true}, nil }))
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ops/redis/", http.StripPrefix("/ops/redis", panel.Handler())) // or as it is: both will do
}

// HTTP Basic, for a panel that has no sessions in front of it.
func ExampleWithDenyHandler() {
	set := connect.NewSet()
	defer set.Close(context.Background())
	password := os.Getenv("PANEL_PASSWORD")
	panel, err := admin.New(set,
		admin.WithAuthorizer(func(r *http.Request) (admin.Access, error) {
			user, given, _ := r.BasicAuth()
			got, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(password))
			if password == "" || user != "operator" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				return admin.Access{}, errors.New("wrong user or password")
			}
			return admin.Access{User: user, Read: true}, nil
		}),
		admin.WithDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="panel", charset="UTF-8"`)
			http.Error(w, "who is it?", http.StatusUnauthorized)
		})))
	if err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	panel.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/admin/", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Basic realm="panel", charset="UTF-8"
}

// What the application lends, the panel can change; the rest it reads.
func ExampleWithLimiter() {
	set := connect.NewSet()
	defer set.Close(context.Background())
	if err := set.Add("default", "redis://127.0.0.1:6379"); err != nil {
		panic(err)
	}
	conn, err := set.Get("default")
	if err != nil {
		panic(err)
	}
	limiter, err1 := ratelimit.New(conn.Client(), ratelimit.Rate(100, time.Minute))
	sessions, err2 := session.New(conn.Client())
	locks, err3 := lockmw.New(conn.Client())
	runner, err4 := cronlock.New(conn.Client())
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		panic(err)
	}
	defer locks.Close(context.Background())
	defer runner.Close(context.Background())
	report, err := runner.Job("report", func(context.Context) error { return nil })
	if err != nil {
		panic(err)
	}
	_, err = admin.New(set, admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return admin.Access{Read: true, Write: true}, nil }),
		admin.WithLimiter("default", "api", limiter), // block and unblock by address
		admin.WithSessions("default", "shop", sessions),
		admin.WithLocks("default", "orders", locks),
		admin.WithJobs("default", report))
	fmt.Println(err)
	// Output: <nil>
}

// A panel that shows less than it might, behind a proxy with another name.
func ExampleWithHiddenKeys() {
	set := connect.NewSet()
	defer set.Close(context.Background())
	_, err := admin.New(set, admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return admin.Access{Read: true}, nil }),
		admin.WithHiddenKeys("mail:", "payments:idempotency:"), // names and sizes, no values
		admin.WithStreams(4, 5*time.Second),                    // charts: four pages at a time, a point in five seconds
		admin.WithTimeout(time.Second),
		admin.WithTrustedOrigins("https://ops.example.com"),
		admin.WithLogger(slog.Default()))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleNew_incorrect() {
	// Without an authorizer anybody could read and delete everything.
	_, err := admin.New(connect.NewSet())
	fmt.Println(err)
	// Output: admin: WithAuthorizer: is missing: say who may use the panel
}

// A go-redis client of your own is enough.
func ExampleNew() {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379", ContextTimeoutEnabled: true})
	defer rdb.Close()
	conn, err := connect.FromClient(rdb)
	if err != nil {
		panic(err)
	}
	limiter, err := ratelimit.New(rdb, ratelimit.Rate(100, time.Minute))
	if err != nil {
		panic(err)
	}
	panel, err := admin.New(conn,
		admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return admin.Access{Read: true}, nil }),
		admin.WithLimiter("", "api", limiter)) // "": there is one connection
	if err != nil {
		panic(err)
	}
	http.NewServeMux().Handle("/admin/", panel.Handler())
}
