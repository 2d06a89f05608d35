package lockmw_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// Four processes of sixteen goroutines add to a counter under one lock, while
// holders are killed and stopped for longer than their lease, and Redis is
// paused, restarted and failed over. Promised is, on each deployment:
//
//   - The store that checks fences loses no update, whatever happens.
//   - Nobody believes to hold the lock while another does, but where the
//     documentation says so: after a failover or a loss of data, until the
//     holder of before has learned of it. These are counted.
//   - The lock is free again after each fault, and the workers go on.
func TestChaos(t *testing.T) {
	for _, d := range []struct {
		name string
		run  func(t *testing.T)
	}{{"standalone", chaosStandalone}, {"sentinel", chaosSentinel}, {"cluster", chaosCluster}} {
		t.Run(d.name, d.run)
	}
}

func chaosStandalone(t *testing.T) {
	s := redistest.NewServer(t)
	c := newChaos(t, "standalone "+s.Addr(), 2*time.Second)
	c.killAHolder()
	c.stopAHolder()
	c.pause(s, 300*time.Millisecond)
	c.pause(s, c.ttl+300*time.Millisecond)
	c.killAHolder()
	for _, what := range []string{"a restart without the data", "another"} {
		c.lose(what, func() { s.Kill(); s.Restart(t) })
	}
	c.finish()
}

func chaosSentinel(t *testing.T) {
	redistest.Long(t)
	s := redistest.NewSentinel(t)
	c := newChaos(t, "sentinel "+addresses(s.Sentinels), 3*time.Second)
	master := func() (m *redistest.Server) { // the sentinels agree on one again after a moment
		t.Helper()
		redistest.Eventually(t, 2*patience, func() bool { m = s.Master(); return m != nil }, "no master")
		return m
	}
	c.killAHolder()
	c.stopAHolder()
	c.pause(master(), 300*time.Millisecond)
	follows := func(old *redistest.Server) {
		t.Helper()
		redistest.Eventually(t, 2*patience, func() bool { return slices.Contains(s.Replicas(), old) && linked(t, old) }, "the old master does not follow the new one")
	}
	old := master()
	c.lose("a failover on command", func() { s.Failover(t) })
	follows(old)

	old = master()
	replica := s.Data[0]
	if replica == old {
		replica = s.Data[1]
	}
	heal := c.cutOff(old, replica)
	c.lose("a failover to a replica without the data", func() { s.Failover(t) })
	heal()
	follows(old)

	old = master()
	c.lose("the death of the master", func() { old.Kill(); s.WaitPromoted(t, old) })
	old.Restart(t) // empty; it believes to be the master at first
	c.goesOn("its return")
	c.finish()
}

func chaosCluster(t *testing.T) {
	redistest.Long(t)
	s := redistest.NewCluster(t, 1, redistest.WithArgs("--repl-diskless-sync-delay", "0"))
	c := newChaos(t, "cluster "+addresses(s.Nodes), 3*time.Second)
	c.killAHolder()
	c.stopAHolder()
	key := ""
	for _, m := range s.Masters() {
		for _, k := range m.Client(t).Keys(t.Context(), "chaos*{*").Val() {
			key = k[strings.Index(k, "{") : strings.Index(k, "}")+1] // another one of its slot
		}
	}
	follows := func(old *redistest.Server) {
		t.Helper()
		redistest.Eventually(t, 2*patience, func() bool { return s.ReplicaOf(s.MasterOf(t, key)) == old && linked(t, old) }, "the old master does not follow the new one")
	}
	promoted := func(old *redistest.Server) {
		t.Helper()
		redistest.Eventually(t, 2*patience, func() bool { return s.MasterOf(t, key) != old }, "no replica was promoted")
	}
	c.pause(s.MasterOf(t, key), 300*time.Millisecond)
	c.lose("a failover on command", func() { s.Failover(t, s.MasterOf(t, key)) })

	old := s.MasterOf(t, key)
	c.lose("a failover while the master stood still", func() { old.Pause(); promoted(old) })
	old.Resume()
	follows(old)

	old = s.MasterOf(t, key)
	heal := c.cutOff(old, s.ReplicaOf(old))
	c.lose("the death of the master, whose replica had not the data", func() { old.Kill(); promoted(old) })
	heal()
	old.Restart(t)
	c.goesOn("its return")
	c.finish()
}

func addresses(servers []*redistest.Server) string {
	var all []string
	for _, s := range servers {
		all = append(all, s.Addr())
	}
	return strings.Join(all, ",")
}

func linked(t *testing.T, replica *redistest.Server) bool {
	return strings.Contains(replica.Client(t).Info(t.Context(), "replication").Val(), "master_link_status:up")
}

// chaos is one run: the processes, the store, and what was done to them when.
type chaos struct {
	t        *testing.T
	where    string
	ttl      time.Duration
	database *redistest.Server
	db       *redis.Client
	dir      string
	since    time.Time
	began    int // processes
	all      []*process
	lossy    []span
}

type process struct {
	cmd  *exec.Cmd
	log  string
	stop io.Closer
}

// A span of time in which two may hold.
type span struct {
	what     string
	from, to time.Duration
}

func newChaos(t *testing.T, where string, ttl time.Duration) *chaos {
	c := &chaos{t: t, where: where, ttl: ttl, database: redistest.NewServer(t), dir: t.TempDir(), since: time.Now()}
	c.db = c.database.Client(t)
	for range 4 {
		c.all = append(c.all, c.start())
	}
	redistest.Eventually(t, patience, func() bool { return c.written() > 200 }, "no process works")
	return c
}

func (c *chaos) start() *process {
	c.t.Helper()
	c.began++
	p := &process{cmd: exec.Command(os.Args[0]), log: filepath.Join(c.dir, fmt.Sprint(c.began, ".log"))}
	p.cmd.Env = append(os.Environ(), "LOCKMW_TEST_LOCKS="+c.where, "LOCKMW_TEST_DATABASE="+c.database.Addr(), "LOCKMW_TEST_TTL="+c.ttl.String(), "LOCKMW_TEST_LOG="+p.log)
	p.cmd.Stderr = os.Stderr
	stop, err := p.cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	p.stop = stop
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	return p
}

func (c *chaos) written() int64 {
	n, _ := c.db.HGet(c.t.Context(), "counter", "written").Int64()
	return n
}

// goesOn waits until the counter counts again, and says how long that took.
func (c *chaos) goesOn(after string) {
	c.t.Helper()
	c.db.Del(c.t.Context(), "granted")
	start, before := time.Now(), c.written()
	redistest.Eventually(c.t, patience, func() bool { return c.written() > before+20 }, "no process works after %s", after)
	c.t.Logf("%v: after %s: 20 writes within %v", time.Since(c.since).Round(time.Millisecond), after, time.Since(start).Round(time.Millisecond))
}

// someoneHolds waits until a process holds the lock that will hold it until
// goesOn is called.
func (c *chaos) someoneHolds() *process {
	c.t.Helper()
	c.db.Del(c.t.Context(), "granted")
	var found *process
	redistest.Eventually(c.t, patience, func() bool {
		if c.db.Exists(c.t.Context(), "wish", "granted").Val() == 0 { // or whom it was granted lost the lock at once
			c.db.Set(c.t.Context(), "wish", 1, 0)
		}
		pid, _ := c.db.Get(c.t.Context(), "granted").Int()
		if i := slices.IndexFunc(c.all, func(p *process) bool { return p.cmd.Process.Pid == pid }); i >= 0 {
			found = c.all[i]
		}
		return found != nil
	}, "no process acquires the lock")
	return found
}

func (c *chaos) killAHolder() {
	c.t.Helper()
	victim := c.someoneHolds()
	_ = victim.cmd.Process.Kill()
	_ = victim.cmd.Wait()
	c.goesOn("a holder was killed")
	c.all[slices.Index(c.all, victim)] = c.start()
}

func (c *chaos) stopAHolder() {
	c.t.Helper()
	victim := c.someoneHolds()
	_ = victim.cmd.Process.Signal(syscall.SIGSTOP)
	c.goesOn("a holder stands still") // its lease is over then
	_ = victim.cmd.Process.Signal(syscall.SIGCONT)
	c.goesOn("it has woken up")
}

func (c *chaos) pause(s *redistest.Server, d time.Duration) {
	c.t.Helper()
	c.someoneHolds()
	s.Pause()
	<-time.After(d)
	s.Resume()
	c.goesOn(fmt.Sprint("Redis stood still for ", d))
}

// lose is a fault after which two may hold the lock, until the leases from
// before it are over. All other faults come before the first of these.
func (c *chaos) lose(what string, fault func()) {
	c.t.Helper()
	c.someoneHolds()
	from := clock()
	fault()
	// The holder holds on, until it is told; another may hold as well by now.
	before, start := c.written(), time.Now()
	for c.holdsOn() && time.Since(start) < c.ttl/2 {
		<-time.After(5 * time.Millisecond)
	}
	c.t.Logf("%s took %v; its holder was told: %v, %d others were served in between", what, (clock() - from).Round(time.Millisecond), !c.holdsOn(), c.written()-before)
	c.goesOn(what)
	c.lossy = append(c.lossy, span{what, from, clock() + c.ttl})
}

// holdsOn reports whether the process of someoneHolds believes so still.
func (c *chaos) holdsOn() bool { return c.db.Exists(c.t.Context(), "granted").Val() == 1 }

// cutOff has a replica lose its data, and miss what its master writes from now
// on.
func (c *chaos) cutOff(master, replica *redistest.Server) (heal func()) {
	c.t.Helper()
	rdb := replica.Client(c.t)
	set := func(password string) {
		if err := rdb.ConfigSet(c.t.Context(), "masterauth", password).Err(); err != nil {
			c.t.Error(err)
		}
	}
	set("wrong-" + strconv.Itoa(rand.IntN(1000)))
	if err := master.Client(c.t).Do(c.t.Context(), "client", "kill", "type", "replica").Err(); err != nil {
		c.t.Error(err)
	}
	redistest.Eventually(c.t, patience, func() bool { return !linked(c.t, replica) }, "the replica is not cut off")
	for _, args := range [][]any{{"config", "set", "replica-read-only", "no"}, {"flushall"}, {"config", "set", "replica-read-only", "yes"}} {
		if err := rdb.Do(c.t.Context(), args...).Err(); err != nil {
			c.t.Error(err)
		}
	}
	return func() { set("") }
}

// finish stops the processes and looks at what they did.
func (c *chaos) finish() {
	t := c.t
	t.Helper()
	for _, p := range c.all {
		_ = p.stop.Close()
	}
	for _, p := range c.all {
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("a process: %v", err)
		}
	}
	fields := c.db.HGetAll(t.Context(), "counter").Val()
	if fields["value"] != fields["written"] {
		t.Errorf("the counter is %s after %s writes: an update was lost", fields["value"], fields["written"])
	}
	if fields["refused"] == "" {
		t.Error("no fence was refused, though a holder wrote after it had stood still")
	}
	all := holders(t, c.dir)
	excused := map[string]int{}
	longest := map[string]time.Duration{}
	for _, o := range overlaps(all) {
		what := ""
		for _, s := range c.lossy {
			if o.from >= s.from && o.to <= s.to {
				what = s.what
			}
		}
		if what == "" {
			t.Errorf("%s believed in fence %d for %v after a greater one began", filepath.Base(o.old.process), o.old.fence, o.to-o.from)
		}
		excused[what]++
		longest[what] = max(longest[what], o.to-o.from)
	}
	t.Logf("%d holders, %s writes, %q accesses refused by their fence", len(all), fields["written"], fields["refused"])
	for _, s := range c.lossy {
		t.Logf("%s: %d overlaps, the longest %v", s.what, excused[s.what], longest[s.what].Round(time.Millisecond))
	}
}
