package admin

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// info is the reply of INFO.
type info map[string]string

func parseInfo(text string) info {
	f := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f[name] = value
		}
	}
	return f
}

// Int is a number, 0 where there is none.
func (f info) Int(name string) int64 {
	n, _ := strconv.ParseInt(f[name], 10, 64)
	return n
}

// Float is a number with a fraction.
func (f info) Float(name string) float64 {
	n, _ := strconv.ParseFloat(f[name], 64)
	return n
}

// At is a time that INFO gives in seconds since 1970.
func (f info) At(name string) time.Time {
	if n := f.Int(name); n > 0 {
		return time.Unix(n, 0)
	}
	return time.Time{}
}

// Seconds is a duration that INFO gives in seconds.
func (f info) Seconds(name string) time.Duration { return time.Duration(f.Int(name)) * time.Second }

// replica is what a master says of one of its replicas.
type replica struct {
	Addr, State string
	Lag         int64         // bytes
	Seen        time.Duration // since its last acknowledgement
}

// Replicas are those of a master: slave0:ip=10.0.0.2,port=6379,state=online,offset=12,lag=0.
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

// database is a line of the section on the keyspace.
type database struct {
	Name          string
	Keys, Expires int64
	TTL           time.Duration // average
}

// Databases are those with keys: db0:keys=2,expires=1,avg_ttl=1000.
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

// command is how much of a server's time went into one command.
type command struct {
	Name   string
	Calls  int64
	Total  time.Duration
	Each   time.Duration
	Failed int64
	Share  float64 // of all
}

const shownCommands = 12

// Commands are those that took most time:
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
