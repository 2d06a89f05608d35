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

// pages are the parsed templates by name, each with the layout.
type pages map[string]*template.Template

// parsePages panics on a template that is wrong, which tests would find.
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

// functions are those that templates call.
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

// shownKey is how many bytes of a key's name a table shows.
const shownKey = 160

// page is the data of every template; Body is the page's own.
type page struct {
	// View is the name of the template, and Status the HTTP status; 0 is 200.
	View   string
	Status int
	// Panel is the title of the panel, Title that of the page.
	Panel string
	Title string
	// Here is the page's entry in the navigation, Trail the pages above it.
	Here  string
	Trail []crumb
	// User and Write are those of [Access].
	User  string
	Write bool
	// Conn is the connection that the page is about, Conns are those to choose from.
	Conn  string
	Conns []string
	// Notice says what was just done.
	Notice string
	Took   time.Duration
	Body   any
}

// crumb is a link in the trail.
type crumb struct{ Text, Link string }

// show renders a page completely before it sends the first byte, so that an error of
// a template is a 500 and not half a page.
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

// fail shows an error page with a reason.
func (p *Panel) fail(w http.ResponseWriter, r *http.Request, status int, reason string) {
	p.show(w, r, page{View: "error", Status: status, Title: http.StatusText(status), Body: reason})
}

// failed shows the error page of an error of Redis or of the request.
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

// errBad matches errors of requests that the panel's own pages do not make.
var errBad = errors.New("the request cannot be understood")

// assetLink adds the file's hash to its address, so that browsers may cache it.
func assetLink(name string) string {
	b, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		return name
	}
	sum := sha256.Sum256(b)
	return name + "?v=" + hex.EncodeToString(sum[:6])
}

// asset serves an embedded file. It is cached for as long as its hash is in the
// address.
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
