package session_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/session"
)

func Example() {
	conn, err := connect.Open("default", "embedded://", embedded.Option()) // or redis://…
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
	_, err := session.New(nil, session.WithCookieDomain("example.com"))
	fmt.Println(err)
	// Output:
	// session: rdb: is nil
	// session: WithCookieDomain: a __Host- cookie has no domain
}
