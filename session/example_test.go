package session_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/session"
)

func Example() {
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
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		sessions.RenewToken(r.Context()) // against session fixation
		sessions.Put(r.Context(), "user", r.FormValue("user"))
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, sessions.GetString(r.Context(), "user"))
	})
	// Sessions in cookies need protection against forged requests.
	handler := http.NewCrossOriginProtection().Handler(sessions.Handler(mux))

	login := httptest.NewRecorder()
	handler.ServeHTTP(login, httptest.NewRequest(http.MethodPost, "/login?user=alice", nil))
	r := httptest.NewRequest(http.MethodGet, "/me", nil)
	r.AddCookie(login.Result().Cookies()[0])
	me := httptest.NewRecorder()
	handler.ServeHTTP(me, r)
	fmt.Println(me.Body)
	// Output: alice
}

func ExampleManager_Require() {
	var sessions *session.Manager // from New
	account := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("/account", sessions.Require(account)) // 503 before account runs when Redis is down
	_ = sessions.Handler(mux)
}

func ExampleNew_mistakes() {
	_, err := session.New(nil, session.WithCookie(session.Cookie{Domain: "example.com"}))
	fmt.Println(err)
	// Output:
	// session: rdb: is nil
	// session: WithCookie: Domain: a __Host- cookie has no domain
}

// A login, and the user's devices.
func ExampleManager_Login() {
	sessions, err := session.New(redis.NewClient(&redis.Options{ContextTimeoutEnabled: true}), session.WithMaxSessions(10))
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		user := r.FormValue("user") // once the password is verified
		if err := sessions.Login(r.Context(), user, r.RemoteAddr, r.UserAgent()); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /devices", func(w http.ResponseWriter, r *http.Request) {
		devices, err := sessions.Sessions(r.Context(), sessions.User(r.Context()))
		if err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		for _, d := range devices {
			fmt.Fprintln(w, d.Handle, d.UserAgent, d.Current)
		}
	})
	mux.HandleFunc("POST /logout-everywhere", func(w http.ResponseWriter, r *http.Request) {
		_, _ = sessions.RevokeAll(r.Context(), sessions.User(r.Context()))
	})
	_ = http.NewCrossOriginProtection().Handler(sessions.Handler(mux))
	// Output:
}

// Two requests that count at once both count.
func ExampleWithMerge() {
	_, err := session.New(redis.NewClient(&redis.Options{ContextTimeoutEnabled: true}), session.WithMerge(func(key string, base, mine, theirs any) any {
		b, _ := base.(int)
		m, isCount := mine.(int)
		if t, ok := theirs.(int); ok && isCount {
			return m + t - b
		}
		return mine
	}))
	fmt.Println(err)
	// Output: <nil>
}

// Requests of one session one after the other, over all instances: a lock by
// the session's key stands around the sessions.
func ExampleManager_RequestKey() {
	var sessions *session.Manager // from New
	byKey := func(r *http.Request) (string, error) { return sessions.RequestKey(r), nil }
	_ = byKey // lockmw.New(rdb, lockmw.WithKey(byKey))
}

// What is stored is encrypted; to change the key, put the new one first once
// every instance has it.
func ExampleWithEncryption() {
	key := make([]byte, 32) // from your secret store
	_, err := session.New(redis.NewClient(&redis.Options{}), session.WithEncryption(key))
	fmt.Println(err)
	// Output: <nil>
}
