package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// shownSlow is how many entries of the slow log a page shows.
const shownSlow = 25

// serverView is the data of a server's page.
type serverView struct {
	Conn, Addr string
	Info       info
	Charts     []chart
	Slow       []slowView
	// SlowError says why there is no slow log: ACLs often forbid it.
	SlowError string
}

// slowView is an entry of the slow log without what may be secret.
type slowView struct {
	At      time.Time
	Took    time.Duration
	Command string
	// Subject is the first argument, mostly a key.
	Subject string
	// More is the number of arguments that are not shown.
	More int
	// Client is the name of the client, or its address if it has none.
	Client string
}

// Ratio is the used part of the memory limit in percent, for a bar.
func (v serverView) Ratio() int64 {
	if most := v.Info.Int("maxmemory"); most > 0 {
		return min(100, 100*v.Info.Int("used_memory")/most)
	}
	return 0
}

// nodePage shows one server. The address comes from the query; only servers of the
// connection are dialled.
func (p *Panel) nodePage(w http.ResponseWriter, r *http.Request) {
	conn, err := p.conn(r)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	addr := r.URL.Query().Get("addr")
	server, err := conn.Server(r.Context(), addr)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	defer server.Close()
	now, err := read(r.Context(), server)
	if err != nil {
		p.fail(w, r, http.StatusBadGateway, addr+": "+err.Error())
		return
	}
	pipe := server.Pipeline()
	stats, slow := pipe.Info(r.Context(), "commandstats"), pipe.SlowLogGet(r.Context(), shownSlow)
	_, _ = pipe.Exec(r.Context()) // either may be forbidden; the rest stands
	maps.Copy(now.info, parseInfo(stats.Val()))
	v := serverView{Conn: conn.Name(), Addr: addr, Info: now.info, Charts: now.charts()}
	for _, s := range slow.Val() {
		v.Slow = append(v.Slow, p.slow(s))
	}
	if err := slow.Err(); err != nil {
		v.SlowError = err.Error()
	}
	p.show(w, r, page{
		View: "node", Title: addr, Here: "connections", Conn: conn.Name(),
		Trail: []crumb{{"Connections", link("")}, {conn.Name(), link("connection", "conn", conn.Name())}}, Body: v,
	})
}

// read sends INFO and measures how long it takes.
func read(ctx context.Context, server *redis.Client) (reading, error) {
	if err := server.Ping(ctx).Err(); err != nil { // so that the dial is no latency
		return reading{}, err
	}
	start := time.Now()
	text, err := server.Info(ctx).Result()
	if err == nil && text == "" {
		err = errors.New("INFO is empty")
	}
	return reading{parseInfo(text), time.Now(), time.Since(start)}, err
}

// secretArguments are commands whose first argument is not a key and may be secret.
var secretArguments = []string{"AUTH", "ECHO", "PING", "PASSWORD"}

// slow keeps the name of a command and its first argument, which mostly is a key. The
// others may be values and tokens.
func (p *Panel) slow(s redis.SlowLog) slowView {
	v := slowView{At: s.Time, Took: s.Duration, Client: s.ClientName}
	if v.Client == "" {
		v.Client = s.ClientAddr
	}
	if len(s.Args) == 0 {
		return v
	}
	v.Command, v.More = strings.ToUpper(cut(s.Args[0], 40)), max(0, len(s.Args)-2)
	if len(s.Args) > 1 && !slices.Contains(secretArguments, v.Command) {
		v.Subject = cut(p.mask(s.Args[1]), shownKey)
	}
	return v
}
