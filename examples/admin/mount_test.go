package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v5"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// The panel is at home in other routers: pages, assets, charts, and writes.
func TestThePanelInOtherRouters(t *testing.T) {
	server := redistest.NewServer(t)
	set := connect.NewSet()
	redistest.CloseAfter(t, patience, set)
	if err := set.Add("default", server.URL()); err != nil {
		t.Fatal(err)
	}
	panel, err := admin.New(set, admin.WithTimeout(patience), admin.WithAuthorizer(func(*http.Request) (admin.Access, error) {
		return admin.Access{User: "ann", Read: true, Write: true}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	plain := http.NewServeMux()
	plain.Handle("/admin/", panel.Handler())
	chiRouter := chi.NewRouter()
	chiRouter.Mount("/admin", panel.Handler())
	gin.SetMode(gin.ReleaseMode)
	ginRouter := gin.New()
	ginRouter.Any("/admin/*page", gin.WrapH(panel.Handler()))
	echoRouter := echo.New()
	echoRouter.Any("/admin/*", echo.WrapHandler(panel.Handler()))
	for name, router := range map[string]http.Handler{"net/http": plain, "chi": chiRouter, "gin": ginRouter, "echo": echoRouter} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(router)
			defer srv.Close()
			get := func(path string) (*http.Response, string) {
				t.Helper()
				resp, err := srv.Client().Get(srv.URL + path)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, _ := io.ReadAll(resp.Body)
				return resp, string(b)
			}
			for path, want := range map[string]string{"/admin/": "Connections", "/admin/keys?conn=default": "Keys", "/admin/admin.css": "color-scheme"} {
				if resp, body := get(path); resp.StatusCode != 200 || !strings.Contains(body, want) {
					t.Errorf("%s: %d %.200s", path, resp.StatusCode, body)
				}
			}
			if name != "echo" { // whose pattern does not match it
				if resp, _ := get("/admin"); resp.StatusCode != 200 || resp.Request.URL.Path != "/admin/" {
					t.Errorf("without the slash: %d at %s", resp.StatusCode, resp.Request.URL)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/admin/events?addr="+server.Addr(), nil)
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			samples := 0
			for lines := bufio.NewScanner(resp.Body); samples < 2 && lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "data: {") {
					samples++
				}
			}
			if samples < 2 {
				t.Errorf("%d samples came", samples)
			}

			key := "of " + name
			server.Client(t).Set(t.Context(), key, 1, 0)
			_, page := get("/admin/confirm?action=delete&conn=default&key=" + url.QueryEscape(key))
			_, rest, _ := strings.Cut(page, `name="what" value="`)
			what, _, _ := strings.Cut(rest, `"`)
			deleted, err := srv.Client().PostForm(srv.URL+"/admin/act", url.Values{"what": {what}, "confirmed": {"yes"}})
			if err != nil {
				t.Fatal(err)
			}
			defer deleted.Body.Close()
			if b, _ := io.ReadAll(deleted.Body); deleted.StatusCode != 200 || !strings.Contains(string(b), "The key was deleted.") {
				t.Errorf("a delete is answered %d at %s", deleted.StatusCode, deleted.Request.URL)
			}
		})
	}
}
