package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/redishttp/redishttp/connect"
)

// connView is a connection as it is now.
type connView struct {
	Name   string
	URL    string // redacted
	Info   connect.Info
	Health connect.Health
	Nodes  []nodeView
	Error  string // why the servers are not known
	Stats  connect.Stats
}

// nodeView is a server with what only Health knows of it.
type nodeView struct {
	connect.Node
	Conn    string
	Latency time.Duration // 0 where it was not measured
}

// Open reports whether the page about the server can be opened.
func (n nodeView) Open() bool { return n.Role != "sentinel" }

func (n nodeView) Uptime() time.Duration { return time.Duration(n.UptimeSeconds) * time.Second }

// Masters, Replicas and Sentinels count the servers.
func (v connView) Masters() int   { return v.roles("master") }
func (v connView) Replicas() int  { return v.roles("replica") }
func (v connView) Sentinels() int { return v.roles("sentinel") }

func (v connView) roles(role string) int {
	n := 0
	for _, node := range v.Nodes {
		if node.Role == role {
			n++
		}
	}
	return n
}

// Versions are those of the servers, each once.
func (v connView) Versions() []string {
	var all []string
	for _, n := range v.Nodes {
		if n.Version != "" && !slices.Contains(all, n.Version) {
			all = append(all, n.Version)
		}
	}
	slices.Sort(all)
	return all
}

// sum adds up what masters say.
func (v connView) sum(of func(connect.Node) int64) int64 {
	total := int64(0)
	for _, n := range v.Nodes {
		if n.Role == "master" {
			total += of(n.Node)
		}
	}
	return total
}

func (v connView) Memory() int64 { return v.sum(func(n connect.Node) int64 { return n.UsedMemory }) }
func (v connView) Ops() int64    { return v.sum(func(n connect.Node) int64 { return n.OpsPerSecond }) }

// reserve is left of a page's time to render what is there.
const reserve = 100 * time.Millisecond

func look(ctx context.Context, conn *connect.Conn) connView {
	if deadline, ok := ctx.Deadline(); ok { // one that hangs is shown as such
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
	}
	v := connView{Name: conn.Name(), URL: conn.String(), Info: conn.Info()}
	var (
		wg    sync.WaitGroup
		nodes []connect.Node
		err   error
	)
	wg.Go(func() { v.Health = conn.Health(ctx) })
	wg.Go(func() { nodes, err = conn.Nodes(ctx) })
	wg.Wait()
	v.Stats = v.Health.Stats
	if err != nil {
		v.Error = err.Error()
	}
	for _, n := range nodes {
		view := nodeView{Node: n, Conn: v.Name}
		for _, h := range v.Health.Nodes {
			if n.Role == "master" && (h.Addr == n.Addr || len(v.Health.Nodes) == 1) && h.OK {
				view.Latency = h.Latency
			}
		}
		v.Nodes = append(v.Nodes, view)
	}
	slices.SortStableFunc(v.Nodes, func(a, b nodeView) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(first(a), first(b)), cmp.Compare(a.Addr, b.Addr))
	})
	return v
}

func rank(n nodeView) int { return slices.Index([]string{"master", "replica", "sentinel"}, n.Role) }

func first(n nodeView) int {
	if len(n.Slots) > 0 {
		return n.Slots[0].From
	}
	return 0
}

func (p *Panel) connectionsPage(w http.ResponseWriter, r *http.Request) {
	names := p.conns.names()
	views := make([]connView, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		conn, err := p.conns.get(name)
		if err != nil {
			views[i] = connView{Name: name, Error: err.Error()}
			continue
		}
		wg.Go(func() { views[i] = look(r.Context(), conn) })
	}
	wg.Wait()
	p.show(w, r, page{View: "connections", Title: "Connections", Here: "connections", Body: views})
}

func (p *Panel) connectionPage(w http.ResponseWriter, r *http.Request) {
	conn, err := p.conn(r)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	p.show(w, r, page{View: "connection", Title: conn.Name(), Here: "connections", Conn: conn.Name(),
		Trail: []crumb{{"Connections", link("")}}, Body: look(r.Context(), conn)})
}
