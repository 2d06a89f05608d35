package admin

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const infoOfAMaster = `# Server
redis_version:7.2.4
uptime_in_seconds:100
# Clients
connected_clients:12
# Memory
used_memory:1048576
maxmemory:4194304
mem_fragmentation_ratio:1.25
# Persistence
rdb_last_save_time:1700000000
# Stats
total_commands_processed:5000
instantaneous_ops_per_sec:250
instantaneous_input_kbps:1.5
instantaneous_output_kbps:2.5
keyspace_hits:75
keyspace_misses:25
evicted_keys:10
expired_keys:20
# Replication
role:master
connected_slaves:2
slave0:ip=10.0.0.2,port=6379,state=online,offset=900,lag=0
slave1:ip=10.0.0.3,port=6380,state=wait_bgsave,offset=100,lag=7
slave3:ip=10.0.0.9,port=1,state=online,offset=1,lag=1
master_repl_offset:1000
# CPU
used_cpu_sys:2.0
used_cpu_user:3.0
# Keyspace
db0:keys=2,expires=1,avg_ttl=1500
db10:keys=7,expires=0,avg_ttl=0
db2:keys=3,expires=0,avg_ttl=0
dbsize:1
`

func TestParseInfo(t *testing.T) {
	i := parseInfo(strings.ReplaceAll(infoOfAMaster, "\n", "\r\n"))
	for name, want := range map[string]int64{"connected_clients": 12, "used_memory": 1 << 20, "missing": 0, "redis_version": 0} {
		if got := i.Int(name); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	if got := i.Float("mem_fragmentation_ratio"); got != 1.25 {
		t.Errorf("got %v", got)
	}
	if got := i.At("rdb_last_save_time"); !got.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("got %v", got)
	}
	if got := i.At("missing"); !got.IsZero() {
		t.Errorf("a time that INFO does not have: got %v", got)
	}
	if got := i.Seconds("uptime_in_seconds"); got != 100*time.Second {
		t.Errorf("got %v", got)
	}
	if i["role"] != "master" || i["# Server"] != "" || i["redis_version"] != "7.2.4" {
		t.Errorf("got %v", i)
	}
	if n := len(parseInfo("")); n != 0 {
		t.Errorf("%d fields in nothing", n)
	}
}

// A server may say anything, for example through a proxy that is not Redis.
func TestParseInfoOfNonsense(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 400 Bad Request\r\n\r\n<html>", "slave0:", "slave0:ip", "db0:keys=", "cmdstat_:calls=x,usec=-", ":", "a:b:c", "\x00\xff:1",
		"slave0:ip=::1,port=x,offset=99999999999999999999", "uptime_in_seconds:-5",
	} {
		i := parseInfo(text)
		i.Replicas()
		i.Databases()
		for _, c := range i.Commands() {
			if math.IsNaN(c.Share) || c.Share < 0 || c.Share > 100 {
				t.Errorf("%q: a share of %v", text, c.Share)
			}
		}
		for _, c := range (reading{info: i, at: time.Now()}).charts() {
			if c.Now == "" {
				t.Errorf("%q: the chart %s has no number", text, c.Name)
			}
		}
	}
}

func TestReplicasOfAMaster(t *testing.T) {
	got := parseInfo(infoOfAMaster).Replicas()
	want := []replica{
		{Addr: "10.0.0.2:6379", State: "online", Lag: 100},
		{Addr: "10.0.0.3:6380", State: "wait_bgsave", Lag: 900, Seen: 7 * time.Second},
	} // slave3 follows a gap
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	ahead := parseInfo("slave0:ip=h,port=1,state=online,offset=50,lag=0\nmaster_repl_offset:40").Replicas()
	if len(ahead) != 1 || ahead[0].Lag != 0 {
		t.Errorf("a replica ahead of an old offset: got %+v", ahead)
	}
}

func TestDatabases(t *testing.T) {
	got := parseInfo(infoOfAMaster).Databases()
	want := []database{{"0", 2, 1, 1500 * time.Millisecond}, {"2", 3, 0, 0}, {"10", 7, 0, 0}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCommands(t *testing.T) {
	got := parseInfo("cmdstat_get:calls=4,usec=300,usec_per_call=75.00,rejected_calls=1,failed_calls=2\n" +
		"cmdstat_config|set:calls=1,usec=100,usec_per_call=100.00,rejected_calls=0,failed_calls=0\ncmdstat_del:calls=1,usec=0,usec_per_call=0.00").Commands()
	want := []command{
		{"get", 4, 300 * time.Microsecond, 75 * time.Microsecond, 3, 75},
		{"config set", 1, 100 * time.Microsecond, 100 * time.Microsecond, 0, 25},
		{"del", 1, 0, 0, 0, 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var many strings.Builder
	for n := range 40 {
		many.WriteString("cmdstat_c" + strconv.Itoa(n) + ":calls=1,usec=" + strconv.Itoa(n) + "\n")
	}
	if all := parseInfo(many.String()).Commands(); len(all) != shownCommands || all[0].Name != "c39" || all[11].Name != "c28" {
		t.Errorf("got %+v", all)
	}
}

func readingAt(at time.Time, changes ...string) reading {
	i := parseInfo(infoOfAMaster)
	for n := 0; n+1 < len(changes); n += 2 {
		i[changes[n]] = changes[n+1]
	}
	return reading{info: i, at: at, took: 1500 * time.Microsecond}
}

func TestTheFirstSampleHasNoRates(t *testing.T) {
	s := readingAt(time.Now()).since(reading{})
	if s.Ops != 250 || s.Latency != 1.5 || s.Memory != 1<<20 || s.Clients != 12 || s.Traffic != 4096 {
		t.Errorf("got %+v", s)
	}
	if s.CPU != nil || s.Hits != nil || s.Evicted != nil || s.Expired != nil {
		t.Errorf("there is nothing to compare with: %+v", s)
	}
	if s.Lag == nil || *s.Lag != 900 {
		t.Errorf("the slowest replica: got %v", s.Lag)
	}
}

func TestASampleComparesTwoReadings(t *testing.T) {
	start := time.Now()
	s := readingAt(start.Add(2*time.Second), "used_cpu_sys", "2.5", "used_cpu_user", "3.5", "evicted_keys", "14", "expired_keys", "20",
		"keyspace_hits", "78", "keyspace_misses", "26", "uptime_in_seconds", "102").since(readingAt(start))
	for name, c := range map[string]struct {
		got  *float64
		want float64
	}{"cpu": {s.CPU, 50}, "evicted": {s.Evicted, 2}, "expired": {s.Expired, 0}, "hits": {s.Hits, 75}} {
		if c.got == nil || *c.got != c.want {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
}

func TestASampleWithoutACommonPast(t *testing.T) {
	start := time.Now()
	for name, c := range map[string]struct{ now, before reading }{
		"restarted":    {readingAt(start.Add(time.Second), "uptime_in_seconds", "1"), readingAt(start)},
		"no time":      {readingAt(start), readingAt(start)},
		"out of order": {readingAt(start), readingAt(start.Add(time.Second))},
	} {
		if s := c.now.since(c.before); s.CPU != nil || s.Evicted != nil || s.Hits != nil {
			t.Errorf("%s: got %+v", name, s)
		}
	}
	// Counters that were reset do not go back.
	s := readingAt(start.Add(time.Second), "evicted_keys", "0", "keyspace_hits", "0", "keyspace_misses", "0").since(readingAt(start))
	if s.Evicted == nil || *s.Evicted != 0 || s.Hits != nil {
		t.Errorf("after CONFIG RESETSTAT: got %+v", s)
	}
}

func TestChartsWithoutJavaScript(t *testing.T) {
	want := map[string]string{
		"ops": "250", "latency": "1.5 ms", "cpu": "5.0 %", "memory": "1.0 MiB", "clients": "12", "hits": "75.0 %", "traffic": "4.0 KiB",
		"expired": "0.2", "evicted": "0.1", "lag": "900 B",
	}
	all := readingAt(time.Now()).charts()
	if len(all) != len(want) {
		t.Errorf("got %d charts, want %d", len(all), len(want))
	}
	for _, c := range all {
		if c.Now != want[c.Name] || c.Title == "" || c.Unit == "" {
			t.Errorf("got %+v, want %s", c, want[c.Name])
		}
		if rate := slices.Contains([]string{"cpu", "hits", "expired", "evicted"}, c.Name); rate != (c.Note == average) {
			t.Errorf("%s: the note %q", c.Name, c.Note)
		}
	}
	alone := reading{info: parseInfo("role:master\nuptime_in_seconds:0"), at: time.Now()}.charts()
	if len(alone) != len(want)-1 {
		t.Errorf("a master without replicas has %d charts", len(alone))
	}
}

func TestRatioOfMemory(t *testing.T) {
	for _, c := range []struct {
		used, most string
		want       int64
	}{{"1", "0", 0}, {"1", "", 0}, {"25", "100", 25}, {"300", "100", 100}} {
		if got := (serverView{Info: info{"used_memory": c.used, "maxmemory": c.most}}).Ratio(); got != c.want {
			t.Errorf("%s of %s: got %d, want %d", c.used, c.most, got, c.want)
		}
	}
}
