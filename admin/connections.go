package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/serverinfo"
)

// connView is the state of a connection for its page.
type connView struct {
	Name string
	// URL is where the connection leads, without secrets.
	URL    string
	Info   connect.Info
	Health connect.Health
	// Nodes are the servers; if they are not known, Error says why.
	Nodes []nodeView
	Error string
	Stats connect.Stats
}

// nodeView is a server with its latency, which only Health measures.
type nodeView struct {
	connect.Node
	Conn    string
	Latency time.Duration // 0 where it was not measured
}

// Open reports whether the page about the server can be opened.
func (n nodeView) Open() bool { return n.Role != "sentinel" }

func (n nodeView) Uptime() time.Duration { return time.Duration(n.UptimeSeconds) * time.Second }

// Masters, Replicas and Sentinels count the servers by role.
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

// Release is the server's name and version, such as Valkey 9.1.2.
func (n nodeView) Release() string {
	return serverinfo.Server{Name: n.Server, Version: n.Version}.String()
}

// Versions are the releases of the servers, each once.
func (v connView) Versions() []string {
	var all []string
	for _, n := range v.Nodes {
		if r := n.Release(); r != "" && !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	slices.Sort(all)
	return all
}

// sum adds up a figure of the masters; those of replicas would count data twice.
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

func (v connView) Ops() int64 { return v.sum(func(n connect.Node) int64 { return n.OpsPerSecond }) }

// reserve is the part of a page's time that is kept for rendering it.
const reserve = 100 * time.Millisecond

// examine collects the state of a connection. A server that hangs is shown as such:
// the calls end before the page's time does.
func examine(ctx context.Context, conn *connect.Conn) connView {
	if deadline, ok := ctx.Deadline(); ok {
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

// rank sorts masters before replicas before sentinels.
func rank(n nodeView) int { return slices.Index([]string{"master", "replica", "sentinel"}, n.Role) }

// first is the first slot of a master, by which the masters of a cluster are sorted.
func first(n nodeView) int {
	if len(n.Slots) > 0 {
		return n.Slots[0].From
	}
	return 0
}

// connectionsPage shows all connections, which are examined concurrently.
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
		wg.Go(func() { views[i] = examine(r.Context(), conn) })
	}
	wg.Wait()
	p.show(w, r, page{View: "connections", Title: "Connections", Here: "connections", Body: views})
}

// connectionPage shows one connection with its pool, breaker and configuration.
func (p *Panel) connectionPage(w http.ResponseWriter, r *http.Request) {
	conn, err := p.conn(r)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	p.show(w, r, page{
		View: "connection", Title: conn.Name(), Here: "connections", Conn: conn.Name(),
		Trail: []crumb{{"Connections", link("")}}, Body: examine(r.Context(), conn),
	})
}
