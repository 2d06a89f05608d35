package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
)

// Panel serves pages about the connections of a Set. It is safe for concurrent
// use.
type Panel struct {
	config
	conns   connections
	pages   pages
	streams chan struct{} // a place for each open stream
	routes  map[string]route
	script  *redis.Script // preview.lua

	prefixes map[string]string // of the application's own keys, see custom
}

type route struct {
	method string
	serve  http.HandlerFunc
}

// New returns a Panel for the connections of set. It does not dial; all
// mistakes are reported at once, as joined [*OptionError]. Without
// [WithAuthorizer] it fails.
func New(conns Connections, opts ...Option) (*Panel, error) {
	c := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c)
		}
	}
	if err := c.validate(conns); err != nil {
		return nil, err
	}
	if c.deny == nil {
		c.deny = http.HandlerFunc(forbidden)
	}
	p := &Panel{config: c, conns: connections{conns}, pages: parsePages(), streams: make(chan struct{}, c.streams), script: redis.NewScriptServerSHA(previewSource)}
	p.prefixes = p.custom()
	p.routes = map[string]route{
		"":           {"GET", p.connectionsPage},
		"connection": {"GET", p.connectionPage},
		"node":       {"GET", p.nodePage},
		"events":     {"GET", p.events},
		"keys":       {"GET", p.keysPage},
		"key":        {"GET", p.keyPage},
		"limits":     {"GET", p.limitsPage},
		"sessions":   {"GET", p.sessionsPage},
		"cache":      {"GET", p.cachePage},
		"locks":      {"GET", p.locksPage},
		"cron":       {"GET", p.cronPage},
		"confirm":    {"GET", p.confirmPage},
		"act":        {"POST", p.act},
		"admin.css":  {"GET", asset("admin.css", "text/css; charset=utf-8")},
		"admin.js":   {"GET", asset("admin.js", "text/javascript; charset=utf-8")},
		"icon.svg":   {"GET", asset("icon.svg", "image/svg+xml")},
	}
	return p, nil
}

// Handler serves the panel. Mount it at any prefix of any router, with all that
// is below it; it does not matter whether the router strips the prefix. It
// answers GET and HEAD, and POST for writes.
func (p *Panel) Handler() http.Handler {
	cross := http.NewCrossOriginProtection()
	for _, origin := range p.origins {
		_ = cross.AddTrustedOrigin(origin) // New has checked it
	}
	return p.guard(cross.Handler(http.HandlerFunc(p.dispatch)))
}

// dispatch goes by the last part of the path alone, for nothing says where the
// prefix ends.
func (p *Panel) dispatch(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.EscapedPath()
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil && asked == "" { // all of it was the prefix
		asked = u.EscapedPath()
	}
	name := asked[strings.LastIndexByte(asked, '/')+1:]
	at, ok := p.routes[name]
	switch {
	case !ok && !strings.Contains(name, "."):
		// "./" in front, so that a colon or a second slash in it is no other
		// origin. It is the prefix without its slash, on which relative links rely.
		w.Header().Set("Location", "./"+name+"/")
		w.WriteHeader(http.StatusTemporaryRedirect)
	case !ok:
		p.fail(w, r, http.StatusNotFound, "There is no such page.")
	case r.Method != at.method && (r.Method != http.MethodHead || at.method != http.MethodGet):
		w.Header().Set("Allow", at.method)
		p.fail(w, r, http.StatusMethodNotAllowed, "This page does not take "+r.Method+" requests.")
	default:
		if name != "events" { // which is to last
			ctx, cancel := context.WithTimeout(r.Context(), p.timeout)
			defer cancel()
			r = r.WithContext(ctx)
		}
		at.serve(w, r)
	}
}

// conn returns the connection that the query names, the first one without.
func (p *Panel) conn(r *http.Request) (*connect.Conn, error) {
	name := r.URL.Query().Get("conn")
	if r.Method == http.MethodPost {
		name = r.PostFormValue("conn")
	}
	if names := p.conns.names(); name == "" && len(names) > 0 {
		name = names[0]
	}
	return p.conns.get(name)
}

// of returns what the application lends for a connection.
func of[T any](all []owned[T], conn string) []owned[T] {
	var mine []owned[T]
	for _, o := range all {
		if o.conn == conn {
			mine = append(mine, o)
		}
	}
	return mine
}
