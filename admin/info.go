package admin

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redishttp/redishttp/internal/serverinfo"
)

// info is the reply of INFO, or one of its lines that holds assignments.
type info map[string]string

// parseInfo reads name:value lines and ignores all others.
func parseInfo(text string) info {
	f := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f[name] = value
		}
	}
	return f
}

// Release is the server's name and version, such as Valkey 9.1.2.
func (f info) Release() string { return serverinfo.Of(f).String() }

// Int returns a number, 0 if there is none.
func (f info) Int(name string) int64 {
	n, _ := strconv.ParseInt(f[name], 10, 64)
	return n
}

// Float returns a number with a fraction, 0 if there is none.
func (f info) Float(name string) float64 {
	n, _ := strconv.ParseFloat(f[name], 64)
	return n
}

// At returns a time that INFO gives in seconds since 1970.
func (f info) At(name string) time.Time {
	if n := f.Int(name); n > 0 {
		return time.Unix(n, 0)
	}
	return time.Time{}
}

// Seconds returns a duration that INFO gives in seconds.
func (f info) Seconds(name string) time.Duration { return time.Duration(f.Int(name)) * time.Second }

// replica is what a master reports of one of its replicas.
type replica struct {
	Addr, State string
	// Lag is how far it is behind, in bytes.
	Lag int64
	// Seen is the time since its last acknowledgement.
	Seen time.Duration
}

// Replicas returns the replicas of a master: slave0:ip=10.0.0.2,port=6379,state=online,offset=12,lag=0.
func (f info) Replicas() []replica {
	var all []replica
	for i := range 64 {
		line, ok := f["slave"+strconv.Itoa(i)]
		if !ok {
			break
		}
		p := assignments(line)
		all = append(all, replica{
			Addr: p["ip"] + ":" + p["port"], State: p["state"], Lag: max(0, f.Int("master_repl_offset")-p.Int("offset")),
			Seen: p.Seconds("lag"),
		})
	}
	return all
}

// assignments reads a=1,b=2.
func assignments(line string) info {
	p := info{}
	for pair := range strings.SplitSeq(line, ",") {
		name, value, _ := strings.Cut(pair, "=")
		p[name] = value
	}
	return p
}

// database is a line of INFO keyspace.
type database struct {
	Name          string
	Keys, Expires int64
	TTL           time.Duration // average
}

// Databases returns the databases that have keys: db0:keys=2,expires=1,avg_ttl=1000.
func (f info) Databases() []database {
	var all []database
	for name, line := range f {
		if n, ok := strings.CutPrefix(name, "db"); ok && strings.HasPrefix(line, "keys=") {
			p := assignments(line)
			all = append(all, database{n, p.Int("keys"), p.Int("expires"), time.Duration(p.Int("avg_ttl")) * time.Millisecond})
		}
	}
	slices.SortFunc(all, func(a, b database) int {
		return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// command is how much of a server's time one command took.
type command struct {
	Name  string
	Calls int64
	// Total is the time of all calls, Each that of one.
	Total time.Duration
	Each  time.Duration
	// Failed counts calls that failed or were rejected.
	Failed int64
	// Share is the percentage of the time of all commands.
	Share float64
}

// shownCommands is how many commands a page shows.
const shownCommands = 12

// Commands returns the commands that took most time:
// cmdstat_get:calls=2,usec=10,usec_per_call=5.00,rejected_calls=0,failed_calls=0.
func (f info) Commands() []command {
	var (
		all   []command
		total float64
	)
	for name, line := range f {
		if cmd, ok := strings.CutPrefix(name, "cmdstat_"); ok {
			p := assignments(line)
			c := command{
				Name: strings.ReplaceAll(cmd, "|", " "), Calls: p.Int("calls"), Total: time.Duration(p.Int("usec")) * time.Microsecond,
				Each: time.Duration(p.Float("usec_per_call") * 1000), Failed: p.Int("failed_calls") + p.Int("rejected_calls"),
			}
			all = append(all, c)
			total += float64(c.Total)
		}
	}
	slices.SortFunc(all, func(a, b command) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name))
	})
	all = all[:min(len(all), shownCommands)]
	for i := range all {
		all[i].Share = 100 * float64(all[i].Total) / max(total, 1)
	}
	return all
}
