package admin

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
)

func TestAConnectionIsSummedUp(t *testing.T) {
	node := func(role, addr, version string, first int, memory, ops int64) nodeView {
		server, version, _ := strings.Cut(version, " ")
		n := nodeView{Node: connect.Node{Role: role, Addr: addr, Server: server, Version: version, UsedMemory: memory, OpsPerSecond: ops}}
		if first >= 0 {
			n.Slots = []connect.SlotRange{{From: first, To: first + 1}}
		}
		return n
	}
	v := connView{Nodes: []nodeView{
		node("sentinel", "s:1", "", -1, 0, 0), node("replica", "r:1", "Valkey 7.2.9", -1, 500, 50), node("master", "m:2", "Redis 7.2.4", 8000, 20, 2),
		node("master", "m:1", "Valkey 7.2.9", 0, 10, 1), node("", "x:1", "", -1, 0, 0),
	}}
	if v.Masters() != 2 || v.Replicas() != 1 || v.Sentinels() != 1 {
		t.Errorf("got %d masters, %d replicas, %d sentinels", v.Masters(), v.Replicas(), v.Sentinels())
	}
	if got := v.Versions(); !slices.Equal(got, []string{"Redis 7.2.4", "Valkey 7.2.9"}) {
		t.Errorf("got %v", got)
	}
	if v.Memory() != 30 || v.Ops() != 3 { // what replicas hold is there already
		t.Errorf("got %d bytes, %d commands", v.Memory(), v.Ops())
	}
	slices.SortStableFunc(v.Nodes, func(a, b nodeView) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(first(a), first(b))) })
	var order []string
	for _, n := range v.Nodes {
		order = append(order, n.Addr)
	}
	if !slices.Equal(order, []string{"x:1", "m:1", "m:2", "r:1", "s:1"}) {
		t.Errorf("got %v", order)
	}
	for role, want := range map[string]bool{"master": true, "replica": true, "sentinel": false} {
		if got := node(role, "", "", -1, 0, 0).Open(); got != want {
			t.Errorf("the page of a %s: %v", role, got)
		}
	}
}

// The slow log keeps what an operator needs and drops what may be secret.
func TestAnEntryOfTheSlowLog(t *testing.T) {
	p := panelOf(t)
	for name, c := range map[string]struct {
		args                     []string
		command, subject, client string
		more                     int
	}{
		"nothing":         {nil, "", "", "10.0.0.1:5", 0},
		"a command":       {[]string{"dbsize"}, "DBSIZE", "", "10.0.0.1:5", 0},
		"a key":           {[]string{"get", "k"}, "GET", "k", "10.0.0.1:5", 0},
		"a value":         {[]string{"set", "k", "hunter2", "px", "5"}, "SET", "k", "10.0.0.1:5", 3},
		"a password":      {[]string{"auth", "hunter2"}, "AUTH", "", "10.0.0.1:5", 0},
		"a user":          {[]string{"AUTH", "app", "hunter2"}, "AUTH", "", "10.0.0.1:5", 1},
		"an echo":         {[]string{"ECHO", "hunter2"}, "ECHO", "", "10.0.0.1:5", 0},
		"a token":         {[]string{"get", "scs:session:hunter2"}, "GET", "scs:session:" + masked, "10.0.0.1:5", 0},
		"a long command":  {[]string{strings.Repeat("x", 60), "k"}, strings.Repeat("X", 40), "k", "10.0.0.1:5", 0},
		"a long argument": {[]string{"get", strings.Repeat("k", 300)}, "GET", strings.Repeat("k", shownKey), "10.0.0.1:5", 0},
	} {
		got := p.slow(redis.SlowLog{Args: c.args, ClientAddr: "10.0.0.1:5"})
		if got.Command != c.command || got.Subject != c.subject || got.More != c.more || got.Client != c.client || strings.Contains(fmt.Sprint(got), "hunter2") {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if got := p.slow(redis.SlowLog{ClientAddr: "10.0.0.1:5", ClientName: "shop"}); got.Client != "shop" {
		t.Errorf("got the client %q", got.Client)
	}
}

// A template that fails makes no half page, and its error is logged and not shown.
func TestAPageThatCannotBeRendered(t *testing.T) {
	var log strings.Builder
	p := panelOf(t, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	p.conns = connections{connect.NewSet()}
	p.pages = pages{"broken": template.Must(template.New("broken").Parse("half a page {{.Body.Secret}}"))}
	w := httptest.NewRecorder()
	p.show(w, httptest.NewRequest(http.MethodGet, "/", nil), page{View: "broken", Body: struct{}{}})
	if w.Code != 500 || strings.Contains(w.Body.String(), "half") || strings.Contains(w.Body.String(), "Secret") || !strings.Contains(log.String(), "broken") {
		t.Errorf("got %d %s, log %s", w.Code, w.Body, log.String())
	}
}

// The status of an error page says whose fault it is.
func TestTheStatusOfAnError(t *testing.T) {
	p := panelOf(t)
	p.conns, p.pages = connections{connect.NewSet()}, parsePages()
	for want, err := range map[int]error{
		404: fmt.Errorf("x: %w", connect.ErrUnknown),
		400: fmt.Errorf("%w: <b>nonsense</b>", errBad),
		503: &connect.UnavailableError{Conn: "c", Err: errors.New("refused")},
		502: errors.New("NOPERM this user has no permissions"),
	} {
		w := httptest.NewRecorder()
		p.failed(w, httptest.NewRequest(http.MethodGet, "/", nil), err)
		if w.Code != want || !strings.Contains(w.Body.String(), `role="alert"`) || strings.Contains(w.Body.String(), "<b>nonsense") {
			t.Errorf("%v: got %d %s", err, w.Code, w.Body)
		}
	}
}

func TestAssetLinks(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"admin.css", "admin.js", "icon.svg"} {
		at := assetLink(name)
		if !strings.HasPrefix(at, name+"?v=") || len(at) != len(name)+3+12 || seen[at] || at != assetLink(name) {
			t.Errorf("got %q", at)
		}
		seen[at] = true
	}
	if got := assetLink("nothing.css"); got != "nothing.css" {
		t.Errorf("a file that is not there: got %q", got)
	}
}

// Every template can be rendered without data that only some pages have.
func TestEveryPageHasATemplate(t *testing.T) {
	all := parsePages()
	for _, view := range []string{"connections", "connection", "node", "keys", "key", "limits", "sessions", "cache", "locks", "cron", "confirm", "error"} {
		if all[view] == nil {
			t.Errorf("%s has no template", view)
		}
	}
	if len(all) != 12 {
		t.Errorf("got %d templates", len(all))
	}
}

func TestRegisteredWithAConnection(t *testing.T) {
	all := []owned[string]{{"a", "1", "x"}, {"b", "1", "y"}, {"a", "2", "z"}}
	if got := of(all, "a"); len(got) != 2 || got[0].it != "x" || got[1].it != "z" {
		t.Errorf("got %v", got)
	}
	if got := of(all, "c"); got != nil {
		t.Errorf("got %v", got)
	}
	c := change{Values: values("conn", "a", "label", "2")}
	if got, err := registered(all, c); got != "z" || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	for _, wrong := range []change{{Values: values("conn", "b", "label", "2")}, {Values: values("conn", "a")}, {Values: values("label", "1")}} {
		if got, err := registered(all, wrong); got != "" || !errors.Is(err, errNotRegistered) || !errors.Is(err, errBad) {
			t.Errorf("%v: got %q, %v", wrong.Values, got, err)
		}
	}
}
