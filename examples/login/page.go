package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/ratelimit"
)

//go:embed static
var staticFiles embed.FS

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"utc": func(t time.Time) string { return t.UTC().Format("2 Jan 15:04 UTC") },
	"iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).ParseFS(pageFiles, "pages/*.html"))

// notice is a sentence above the login form.
type notice struct{ Kind, Text string }

// notices are what a redirect may have said: a name that is not here says
// nothing, so a link cannot put words on the page. A visitor has no session for
// a flash to stand in.
var notices = map[string]notice{
	"out":        {"success", "You are logged out."},
	"everywhere": {"success", "You are logged out on all devices."},
	"ended":      {"info", "Your session has ended. Log in again."},
}

func (a *app) loginPage(w http.ResponseWriter, r *http.Request) {
	a.showLogin(w, http.StatusOK, "", notices[r.URL.Query().Get("notice")])
}

func (a *app) showLogin(w http.ResponseWriter, status int, user string, n notice) {
	a.show(w, status, "login.html", struct {
		User   string
		Notice notice
		Demo   map[string]string
	}{user, n, demoUsers})
}

// tooMany is the answer of the limiters, which have set Retry-After.
func (a *app) tooMany(w http.ResponseWriter, r *http.Request) {
	wait := "later"
	if d, ok := ratelimit.FromContext(r.Context()); ok && d.RetryAfter > 0 {
		wait = fmt.Sprintf("in %d s", int(math.Ceil(d.RetryAfter.Seconds())))
		if d.RetryAfter > 90*time.Second {
			wait = fmt.Sprintf("in %d minutes", int(math.Ceil(d.RetryAfter.Minutes())))
		}
	}
	a.showLogin(w, http.StatusTooManyRequests, r.PostFormValue("user"), notice{"error", "Too many failed attempts. Try again " + wait + "."})
}

// show answers with a page, whole or not at all.
func (a *app) show(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		a.logger.Error("page", slog.String("cause", err.Error()))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}
