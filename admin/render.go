package admin

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
)

//go:embed templates
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// pages are the templates by name, each with the layout.
type pages map[string]*template.Template

func parsePages() pages {
	all := pages{}
	base := template.Must(template.New("layout.html").Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	names, _ := fs.Glob(templateFiles, "templates/*.html")
	for _, file := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "templates/"), ".html")
		if name != "layout" && name != "parts" {
			all[name] = template.Must(template.Must(base.Clone()).ParseFS(templateFiles, file))
		}
	}
	return all
}

var functions = template.FuncMap{
	"size": size, "count": count, "span": span, "relative": relative, "exact": exact, "slots": slots, "link": link, "percent": percent,
	"printable": printable, "lines": func(s string) []piece { return pieces(s, true) }, "plain": plain, "cut": cut,
	"join": strings.Join, "asset": assetLink,
	"short":  func(s string) []piece { return printable(cut(s, shownKey)) },
	"args":   func(values ...any) []any { return values },
	"status": func(s cache.Status) string { return strings.TrimPrefix(s.String(), "; ") },
	"pretty": prettyPieces, "odd": func(n int) bool { return n%2 == 1 },
	"int":   func(s string) int64 { return int64(len(s)) },
	"int64": func(n uint32) int64 { return int64(n) },
	"hits":  func(hits, misses int64) string { return percent(hits, hits+misses) },
	"pairs": func(values []any) [][]any { return slices.Collect(slices.Chunk(values, 2)) },
	"ms":    func(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond },
}

// shownKey is how much of a key's name a table shows.
const shownKey = 160

// page is what every template gets.
type page struct {
	View   string // name of the template
	Status int    // of HTTP, 0 is 200
	Panel  string // title of the panel
	Title  string
	Here   string // which entry of the navigation this is
	Trail  []crumb
	User   string
	Write  bool
	Conn   string
	Conns  []string
	Notice string // what was just done
	Took   time.Duration
	Body   any
}

type crumb struct{ Text, Link string }

// show renders a page, all of it before the first byte goes out.
func (p *Panel) show(w http.ResponseWriter, r *http.Request, pg page) {
	a := accessOf(r.Context())
	pg.Panel, pg.User, pg.Write, pg.Conns = p.title, a.User, a.Write, p.conns.names()
	pg.Notice = actions[r.URL.Query().Get("done")].Done
	var buf bytes.Buffer
	if err := p.pages[pg.View].Execute(&buf, pg); err != nil {
		p.logger.LogAttrs(r.Context(), slog.LevelError, "a page of the panel cannot be made", slog.String("page", pg.View), slog.String("cause", err.Error()))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(cmp.Or(pg.Status, http.StatusOK))
	if r.Method != http.MethodHead {
		_, _ = w.Write(buf.Bytes())
	}
}

// fail shows a page that says what is wrong.
func (p *Panel) fail(w http.ResponseWriter, r *http.Request, status int, reason string) {
	p.show(w, r, page{View: "error", Status: status, Title: http.StatusText(status), Body: reason})
}

// failed shows the page of an error of Redis or of the query.
func (p *Panel) failed(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusBadGateway
	switch {
	case errors.Is(err, connect.ErrUnknown):
		status = http.StatusNotFound
	case errors.Is(err, errBad):
		status = http.StatusBadRequest
	case errors.Is(err, connect.ErrUnavailable):
		status = http.StatusServiceUnavailable
	}
	p.fail(w, r, status, err.Error())
}

// errBad is a request that the panel's own pages do not make.
var errBad = errors.New("the request cannot be understood")

// assetLink carries the file's hash, so that browsers may keep it.
func assetLink(name string) string {
	b, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		return name
	}
	sum := sha256.Sum256(b)
	return name + "?v=" + hex.EncodeToString(sum[:6])
}

func asset(name, contentType string) http.HandlerFunc {
	b, _ := assetFiles.ReadFile("assets/" + name)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		if r.URL.Query().Has("v") {
			w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}
}
