package routertest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v5"

	"github.com/redishttp/redishttp/adapters/echomw"
	"github.com/redishttp/redishttp/adapters/ginmw"
)

// native is a router whose own middlewares say something around a cache: before
// writes header lines, in the way of the router, before the next handler runs.
type native struct {
	name  string
	build func(before http.Header, mw middleware, local []middleware, h http.HandlerFunc) http.Handler
}

func natives() []native {
	set := func(h, lines http.Header) {
		for name, values := range lines {
			h[name] = append(h[name], values...)
		}
	}
	plain := func(before http.Header, mw middleware, local []middleware, h http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			set(w.Header(), before)
			mw(wrap(h, local)).ServeHTTP(w, r)
		})
	}
	return []native{
		{"net_http", plain},
		{"chi", func(before http.Header, mw middleware, local []middleware, h http.HandlerFunc) http.Handler {
			mux := chi.NewRouter()
			for name, values := range before {
				for _, value := range values {
					mux.Use(chimw.SetHeader(name, value))
				}
			}
			mux.Use(mw)
			mux.With(local...).Get("/", h)
			return mux
		}},
		{"chi_NoCache", func(before http.Header, mw middleware, local []middleware, h http.HandlerFunc) http.Handler {
			if before.Get("Cache-Control") == "" {
				return plain(before, mw, local, h)
			}
			return chimw.NoCache(mw(wrap(h, local)))
		}},
		{"gin", func(before http.Header, mw middleware, local []middleware, h http.HandlerFunc) http.Handler {
			engine := gin.New()
			engine.Use(func(c *gin.Context) { set(c.Writer.Header(), before) }, ginmw.Wrap(mw))
			for _, l := range local {
				engine.Use(ginmw.Wrap(l))
			}
			engine.GET("/", func(c *gin.Context) { h(c.Writer, c.Request) })
			return engine
		}},
		{"echo", func(before http.Header, mw middleware, local []middleware, h http.HandlerFunc) http.Handler {
			e := echo.New()
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c *echo.Context) error { set(c.Response().Header(), before); return next(c) }
			}, echomw.Wrap(mw))
			for _, l := range local {
				e.Use(echomw.Wrap(l))
			}
			e.GET("/", func(c *echo.Context) error { h(c.Response(), c.Request()); return nil })
			return e
		}},
	}
}

// What a router's middlewares say around the cache is heard.
func TestWhatIsSaidAroundTheCache(t *testing.T) {
	rdb := sharedClient(t)
	for _, rt := range natives() {
		t.Run(rt.name, func(t *testing.T) {
			page := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Last-Modified", "Sat, 01 Nov 2025 00:00:00 GMT")
				fmt.Fprint(w, r.Header.Get("X-User"), r.Header.Get("Accept-Language"))
			}
			for _, tc := range []struct {
				before        http.Header
				first, second string // a request field
				want          string // in the second answer's Cache-Status
				body          string
			}{
				{http.Header{"Cache-Control": {"private, no-store"}}, "X-User: 1", "X-User: 2", "detail=no-store", "2"},
				{http.Header{"Vary": {"Accept-Language"}}, "Accept-Language: en", "Accept-Language: de", "fwd=vary-miss", "de"},
				{http.Header{"Vary": {"Accept-Language"}}, "Accept-Language: en", "Accept-Language: en", "; hit", "en"},
			} {
				c := newChain(t, "cache", settings{rdb: rdb})
				srv := serve(t, rt.build(tc.before, c.responses.Handler, nil, page))
				for i, line := range []string{tc.first, tc.second} {
					name, value, _ := strings.Cut(line, ": ")
					r := do(t, client(t), srv.URL, "GET /", http.Header{name: {value}})
					if status := fmt.Sprint(r.header["Cache-Status"]); i == 1 && (!strings.Contains(status, tc.want) || r.body != tc.body) {
						t.Errorf("%v: got %q, %s, want %q, %s", tc.before, r.body, status, tc.body, tc.want)
					}
				}
			}
		})
	}
}

// An authentication inside of the cache that deletes Authorization once it is
// checked: no other client gets the account.
func TestAuthenticationInsideTheCache(t *testing.T) {
	rdb := sharedClient(t)
	check := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !ok {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			r.Header.Del("Authorization")
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
		})
	}
	for _, rt := range natives() {
		t.Run(rt.name, func(t *testing.T) {
			c := newChain(t, "cache", settings{rdb: rdb})
			srv := serve(t, rt.build(nil, c.responses.Handler, []middleware{check}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=60")
				fmt.Fprint(w, "account of ", r.Context().Value(userKey{}))
			}))
			if r := do(t, client(t), srv.URL, "GET /", http.Header{"Authorization": {"Bearer 7"}}); r.body != "account of 7" {
				t.Fatalf("got %s %q", r.proto, r.body)
			}
			if r := do(t, client(t), srv.URL, "GET /", nil); r.proto != statusLine(401) {
				t.Errorf("without credentials: %s %q, %s", r.proto, r.body, r.header["Cache-Status"])
			}
		})
	}
}

type userKey struct{}
