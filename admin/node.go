package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const shownSlow = 25

// serverView is one server in detail.
type serverView struct {
	Conn, Addr string
	Info       info
	Charts     []chart
	Slow       []slowView
	SlowError  string // ACLs often forbid it
}

// slowView is an entry of the slow log, without what may be a secret.
type slowView struct {
	At      time.Time
	Took    time.Duration
	Command string
	Subject string // the first argument, mostly a key
	More    int    // arguments that are not shown
	Client  string
}

// Ratio is a part of a whole in percent, for a bar.
func (v serverView) Ratio() int64 {
	if most := v.Info.Int("maxmemory"); most > 0 {
		return min(100, 100*v.Info.Int("used_memory")/most)
	}
	return 0
}

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
	for name, line := range parseInfo(stats.Val()) {
		now.info[name] = line
	}
	v := serverView{Conn: conn.Name(), Addr: addr, Info: now.info, Charts: now.charts()}
	for _, s := range slow.Val() {
		v.Slow = append(v.Slow, p.slow(s))
	}
	if err := slow.Err(); err != nil {
		v.SlowError = err.Error()
	}
	p.show(w, r, page{View: "node", Title: addr, Here: "connections", Conn: conn.Name(),
		Trail: []crumb{{"Connections", link("")}, {conn.Name(), link("connection", "conn", conn.Name())}}, Body: v})
}

// read asks a server about itself.
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

// telling are commands whose first argument is no key, but may be a secret.
var telling = []string{"AUTH", "ECHO", "PING", "PASSWORD"}

// slow keeps of a command its name and its first argument: values and tokens
// stand behind.
func (p *Panel) slow(s redis.SlowLog) slowView {
	v := slowView{At: s.Time, Took: s.Duration, Client: s.ClientName}
	if v.Client == "" {
		v.Client = s.ClientAddr
	}
	if len(s.Args) == 0 {
		return v
	}
	v.Command, v.More = strings.ToUpper(cut(s.Args[0], 40)), max(0, len(s.Args)-2)
	if len(s.Args) > 1 && !slices.Contains(telling, v.Command) {
		v.Subject = cut(p.mask(s.Args[1]), shownKey)
	}
	return v
}
