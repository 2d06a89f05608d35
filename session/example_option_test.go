package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/session"
)

// Sessions that are shared between example.com and its subdomains: a cookie with a
// Domain cannot have the prefix __Host-.
func ExampleWithCookie() {
	rdb := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	_, err := session.New(rdb, session.WithCookie(session.Cookie{
		Name:     "__Secure-session",
		Domain:   "example.com",
		SameSite: http.SameSiteStrictMode,
	}))
	fmt.Println(err)
	// Output: <nil>
}

// A bank: ten minutes without a click, or an hour in all, and the user logs in again.
// A request waits for Redis for 100 ms at most.
func ExampleWithLifetime() {
	rdb := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	_, err := session.New(rdb,
		session.WithLifetime(time.Hour),
		session.WithIdleTimeout(10*time.Minute),
		session.WithTimeouts(100*time.Millisecond, 300*time.Millisecond),
		session.WithMaxSessions(1),
	)
	fmt.Println(err)
	// Output: <nil>
}

// A page of one's own for requests whose session cannot be loaded.
func ExampleWithDenyHandler() {
	conn, err := connect.Open("redis://127.0.0.1:1") // no server is there
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if errors.Is(session.DenyReason(r.Context()), session.ErrUnavailable) {
			fmt.Fprint(w, "We will be back in a moment.")
			return
		}
		fmt.Fprint(w, "Something went wrong.")
	})
	sessions, err := session.New(conn.Client(), session.WithDenyHandler(page))
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "visited", true)
	}))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 503 We will be back in a moment.
}

// A shop whose pages are useful without a session, too.
func ExampleWithFailureMode() {
	conn, err := connect.Open("redis://127.0.0.1:1") // no server is there
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	sessions, err := session.New(conn.Client(), session.WithFailureMode(session.FailAnonymous))
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello %q", sessions.User(r.Context()))
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", "__Host-session=0123456789012345678901234567890123456789012")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body, w.Header().Get("Cache-Control"))
	// Output: 200 Hello "" no-store
}

// An audit log.
func ExampleWithHooks() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	sessions, err := session.New(conn.Client(),
		session.WithHooks(session.Hooks{
			Event: func(_ context.Context, e session.Event) { fmt.Println(e.Kind, len(e.Handle)) },
		}),
		session.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "k", "v")
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	// Output: created 16
}

// A typed value, and a message for the next page.
func ExampleKey() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	sessions, err := session.New(conn.Client())
	if err != nil {
		fmt.Println(err)
		return
	}
	type Cart struct{ Items []string }
	const cart = session.Key[Cart]("cart")
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := cart.Get(r.Context(), sessions)
		if err == nil {
			c.Items = append(c.Items, "tea")
			err = cart.Put(r.Context(), sessions, c)
		}
		if err != nil {
			http.Error(w, "the cart cannot be read", http.StatusInternalServerError)
			return
		}
		sessions.AddFlash(r.Context(), "success", "tea was added")
		fmt.Println(c.Items, sessions.Flashes(r.Context()))
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/cart", nil))
	// Output: [tea] [{success tea was added}]
}

// The end of a trial: all its sessions are ended by an operator's job.
func ExampleManager_Iterate() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	sessions, err := session.New(conn.Client())
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "plan", r.FormValue("plan"))
	}))
	for _, plan := range []string{"trial", "trial", "full"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?plan="+plan, nil))
	}
	ended := 0
	err = sessions.Iterate(context.Background(), func(ctx context.Context) error {
		if sessions.GetString(ctx, "plan") != "trial" {
			return nil
		}
		ended++
		return sessions.Destroy(ctx)
	})
	fmt.Println(ended, err)
	// Output: 2 <nil>
}

// A service that comes from scs keeps its users logged in.
func ExampleWithScsSessions() {
	rdb := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	_, err := session.New(rdb,
		session.WithCookie(session.Cookie{Name: "session"}), // scs' default
		session.WithScsSessions("scs:session:"),             // redisstore's
	)
	fmt.Println(err)
	// Output: <nil>
}

// A logout that a failover cannot undo, once one replica has confirmed it.
func ExampleWithWaitReplicas() {
	rdb := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	sessions, err := session.New(rdb, session.WithWaitReplicas(1, 100*time.Millisecond))
	if err != nil {
		fmt.Println(err)
		return
	}
	logout := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := sessions.Destroy(r.Context())
		switch {
		case errors.Is(err, session.ErrUnconfirmed): // it has ended, but a failover now could undo that
			slog.WarnContext(r.Context(), "no replica has confirmed a logout")
		case err != nil:
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	_ = sessions.Handler(logout)
	// Output:
}
