package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/lockmw"
)

func (a *app) routes() {
	a.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprint(w, usage(r.Host))
	})
	a.mux.HandleFunc("GET /time", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=5")
		fmt.Fprintln(w, "made at", time.Now().Format("15:04:05.000"))
	})
	a.mux.HandleFunc("GET /visits", func(w http.ResponseWriter, r *http.Request) {
		visits := a.sessions.GetInt(r.Context(), "visits") + 1
		a.sessions.Put(r.Context(), "visits", visits)
		fmt.Fprintln(w, "your visit number", visits)
	})
	a.mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if err := a.sessions.RenewToken(r.Context()); err != nil { // against session fixation
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		a.sessions.Put(r.Context(), "user", r.FormValue("user"))
		fmt.Fprintln(w, "welcome")
	})
	a.mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		fmt.Fprintf(w, "user: %q\n", a.sessions.GetString(r.Context(), "user"))
	})
	a.mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := a.sessions.Destroy(r.Context()); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	a.mux.HandleFunc("POST /orders/{id}/pay", func(w http.ResponseWriter, r *http.Request) {
		k, _ := lockmw.FromContext(r.Context())
		select {
		case <-time.After(3 * time.Second): // the payment
			fmt.Fprintf(w, "order %s paid, fence %d\n", r.PathValue("id"), k.Fence())
		case <-r.Context().Done(): // the lock was lost, or the client has gone
		}
	})
	a.mux.HandleFunc("POST /purge", func(w http.ResponseWriter, r *http.Request) {
		if err := a.responses.Purge(r.Context(), "http://"+r.Host+"/time"); err != nil {
			http.Error(w, "not purged", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "purged /time")
	})
}

func usage(addr string) string {
	base := "http://" + addr
	return fmt.Sprintf(`listening on %[1]s

  curl -i %[1]s/time                          cache: the second answer within 5 s is a hit, see Cache-Status and Age
  curl -i -X POST %[1]s/purge                 cache: the next /time is made anew
  curl -i -c jar -b jar %[1]s/visits          session: counts your visits, the cookie is in the file jar
  curl -i -c jar -b jar -d user=ann %[1]s/login   session: a new token at login; then GET /me, POST /logout
  curl -i -X POST %[1]s/orders/7/pay          lock: takes 3 s; a second one meanwhile waits 1 s and gets 409
  for i in $(seq 25); do curl -s -o /dev/null -w '%%{http_code} ' %[1]s/time; done   rate limit: 20 at once, 1 a second; then 429
`, base)
}
