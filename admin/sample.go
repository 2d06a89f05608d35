package admin

import (
	"strconv"
	"time"
)

// sample is one point of a server's charts. A figure that is not known is nil.
type sample struct {
	// Ops are commands per second.
	Ops float64 `json:"ops"`
	// Latency is how long INFO took, in ms.
	Latency float64 `json:"latency"`
	// Memory is in bytes.
	Memory float64 `json:"memory"`
	// CPU is the percentage of one core.
	CPU     *float64 `json:"cpu"`
	Clients float64  `json:"clients"`
	// Hits is the percentage of lookups since the last sample.
	Hits *float64 `json:"hits"`
	// Evicted and Expired are keys per second.
	Evicted *float64 `json:"evicted"`
	Expired *float64 `json:"expired"`
	// Traffic is in bytes per second, in both directions.
	Traffic float64 `json:"traffic"`
	// Lag is that of the slowest replica, in bytes.
	Lag *float64 `json:"lag"`
}

// reading is an INFO with the time of the reply and how long it took.
type reading struct {
	info
	at   time.Time
	took time.Duration
}

// since makes a sample of two readings. Rates need both; with the zero reading, or one
// from before a restart, they are not known.
func (r reading) since(before reading) sample {
	s := sample{
		Ops: r.Float("instantaneous_ops_per_sec"), Latency: float64(r.took.Microseconds()) / 1000, Memory: r.Float("used_memory"),
		Clients: r.Float("connected_clients"), Traffic: 1024 * (r.Float("instantaneous_input_kbps") + r.Float("instantaneous_output_kbps")),
	}
	for _, rep := range r.Replicas() {
		if s.Lag == nil || float64(rep.Lag) > *s.Lag {
			s.Lag = new(float64(rep.Lag))
		}
	}
	seconds := r.at.Sub(before.at).Seconds()
	if before.info == nil || seconds <= 0 || r.Int("uptime_in_seconds") < before.Int("uptime_in_seconds") {
		return s
	}
	gained := func(name string) float64 { return max(0, r.Float(name)-before.Float(name)) }
	s.CPU = new(100 * (gained("used_cpu_sys") + gained("used_cpu_user")) / seconds)
	s.Evicted, s.Expired = new(gained("evicted_keys")/seconds), new(gained("expired_keys")/seconds)
	if hits, misses := gained("keyspace_hits"), gained("keyspace_misses"); hits+misses > 0 {
		s.Hits = new(100 * hits / (hits + misses))
	}
	return s
}

// chart is a chart on the page of a server, with its present value as text.
type chart struct{ Name, Title, Unit, Now, Note string }

// average marks a value that is an average since the server started.
const average = "since the start"

// charts returns the charts in their order. Their values are for browsers without
// JavaScript.
func (r reading) charts() []chart {
	s, up := r.since(reading{}), max(1, r.Float("uptime_in_seconds"))
	each := func(name string) string { return strconv.FormatFloat(r.Float(name)/up, 'f', 1, 64) }
	cpu := 100 * (r.Float("used_cpu_sys") + r.Float("used_cpu_user")) / up
	all := []chart{
		{"ops", "Commands a second", "count", count(int64(s.Ops)), ""},
		{"latency", "Time to answer", "ms", span(r.took), ""},
		{"cpu", "CPU, of one core", "percent", strconv.FormatFloat(cpu, 'f', 1, 64) + " %", average},
		{"memory", "Memory", "bytes", size(int64(s.Memory)), ""},
		{"clients", "Clients", "count", count(int64(s.Clients)), ""},
		{"hits", "Hit ratio", "percent", percent(r.Int("keyspace_hits"), r.Int("keyspace_hits")+r.Int("keyspace_misses")), average},
		{"traffic", "Traffic a second", "bytes", size(int64(s.Traffic)), ""},
		{"expired", "Expired a second", "count", each("expired_keys"), average},
		{"evicted", "Evicted a second", "count", each("evicted_keys"), average},
	}
	if s.Lag != nil {
		all = append(all, chart{"lag", "Replication lag", "bytes", size(int64(*s.Lag)), ""})
	}
	return all
}
