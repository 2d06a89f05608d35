package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/redishttp/redishttp/connect"
)

// Panel serves pages about connections. Create one with [New] and mount its
// [Panel.Handler]. It needs no Close; the connections stay the caller's. It is
// safe for concurrent use.
type Panel struct {
	config
	conns connections
	pages pages
	// streams holds a token for each open stream.
	streams chan struct{}
	routes  map[string]route
	// prefixes are those that registered middlewares use, see custom.
	prefixes map[string]string
}

// route is one page and the method that it accepts; GET includes HEAD.
type route struct {
	method string
	serve  http.HandlerFunc
}

// New returns a Panel for a [*connect.Set], or for a single [*connect.Conn]:
//
//	conn, err := connect.FromClient(rdb) // a go-redis client
//	panel, err := admin.New(conn, admin.WithAuthorizer(authorize))
//
// It does not dial, so it succeeds while Redis is down. All mistakes are
// reported at once, as joined [*OptionError]. [WithAuthorizer] is required; a
// nil Option is skipped.
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
	p := &Panel{config: c, conns: connections{conns}, pages: parsePages(), streams: make(chan struct{}, c.streams)}
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

// Handler returns the panel. Mount it at any prefix of any router, with all
// paths below it; whether the router strips the prefix does not matter. It
// serves GET and HEAD, and POST for writes. Serve it over HTTPS, or on a
// listener that only operators reach. It must not be inside of
// [http.TimeoutHandler], because charts stream.
func (p *Panel) Handler() http.Handler {
	cross := http.NewCrossOriginProtection()
	for _, origin := range p.origins {
		_ = cross.AddTrustedOrigin(origin) // New has checked it
	}
	return p.guard(cross.Handler(http.HandlerFunc(p.dispatch)))
}

// dispatch chooses the page by the last part of the path alone, because where the
// prefix ends is not known.
func (p *Panel) dispatch(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.EscapedPath()
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil && asked == "" { // all of it was the prefix
		asked = u.EscapedPath()
	}
	name := asked[strings.LastIndexByte(asked, '/')+1:]
	at, ok := p.routes[name]
	switch {
	case !ok && !strings.Contains(name, "."):
		// The path is the prefix without its slash, on which relative links rely.
		// "./" in front keeps a colon or a second slash in the name from leading to
		// another origin.
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

// conn returns the connection that the request names, by default the first one.
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

// of returns what the application has registered for a connection.
func of[T any](all []owned[T], conn string) []owned[T] {
	var mine []owned[T]
	for _, o := range all {
		if o.conn == conn {
			mine = append(mine, o)
		}
	}
	return mine
}
