package session_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/connecttest"
	"github.com/redishttp/redishttp/internal/bench"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// withoutIFEQ rejects SET … IFEQ as servers do that do not know it.
type withoutIFEQ struct{}

func (withoutIFEQ) DialHook(next redis.DialHook) redis.DialHook { return next }

func (withoutIFEQ) rejects(cmd redis.Cmder) bool {
	args := cmd.Args()
	if len(args) < 7 || args[5] != "IFEQ" {
		return false
	}
	cmd.SetErr(syntaxError{})
	return true
}

func (h withoutIFEQ) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.rejects(cmd) {
			return cmd.Err()
		}
		return next(ctx, cmd)
	}
}

func (h withoutIFEQ) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		rest := slices.DeleteFunc(slices.Clone(cmds), h.rejects)
		if len(rest) == 0 {
			return cmds[0].Err()
		}
		return next(ctx, rest)
	}
}

type syntaxError struct{}

func (syntaxError) Error() string { return "ERR syntax error" }
func (syntaxError) RedisError()   {}

// savesPerRequest is how often a request of the benchmark saves, so that loading the
// session hardly counts.
const savesPerRequest = 20

// saver is a manager on a server of its own, and what a save of 4 KB costs with it.
type saver struct {
	server   *redistest.Server
	handler  http.Handler
	cookies  []string
	requests atomic.Int64
	cpu      float64 // of this process, s
}

func newSaver(b *testing.B, program, client string, opts ...connect.Option) *saver {
	server := redistest.NewServer(b, redistest.WithProgram(program))
	conn := connecttest.Open(b, server.URL(), append(opts, connect.WithPool(100, 0),
		connect.WithTimeouts(connect.Timeouts{Dial: time.Minute, Read: time.Minute, Write: time.Minute, Pool: time.Minute}))...)
	rdb := conn.Client()
	if client == "batched" {
		rdb = conn.Batched()
	}
	m, err := session.New(rdb, session.WithCookie(session.Cookie{Insecure: true}), session.WithTimeouts(time.Minute, time.Minute))
	if err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	s := &saver{server: server, handler: m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		saves := 1
		switch r.URL.Path {
		case "/login":
			blob := make([]byte, 4000)
			_, _ = rand.Read(blob)
			m.Put(r.Context(), "blob", string(blob))
		case "/save":
			saves = savesPerRequest
		}
		for range saves - 1 {
			m.Put(r.Context(), "n", int(n.Add(1)))
			if _, _, err := m.Commit(r.Context()); err != nil {
				b.Error(err)
			}
		}
		m.Put(r.Context(), "n", int(n.Add(1)))
	}))}
	for range 64 {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/login", nil))
		c, _ := cookie(w)
		s.cookies = append(s.cookies, c)
	}
	return s
}

func (s *saver) throughput(b *testing.B, path string, n int) float64 {
	before := processCPU(b)
	defer func() { s.cpu += processCPU(b) - before }()
	return bench.Throughput(n, func(i int) func() {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Cookie", s.cookies[i])
		return func() {
			w := bench.NewDiscard()
			s.requests.Add(1)
			if s.handler.ServeHTTP(w, r); w.Status != http.StatusOK {
				b.Errorf("%s: %d", path, w.Status)
			}
		}
	})
}

var spent = regexp.MustCompile(`cmdstat_(set|evalsha):calls=(\d+),usec=(\d+)`)

// serverTime is the server's time for a save in µs: of EVALSHA, which has that of the
// commands in the script, or of SET.
func (s *saver) serverTime(b *testing.B) float64 {
	times := map[string]float64{}
	for _, m := range spent.FindAllStringSubmatch(s.server.Client(b).Info(b.Context(), "commandstats").Val(), -1) {
		calls, _ := strconv.ParseFloat(m[2], 64)
		usec, _ := strconv.ParseFloat(m[3], 64)
		times[m[1]] = usec / calls
	}
	if us, ok := times["evalsha"]; ok {
		return us
	}
	return times["set"]
}

// perRequest is the CPU time that a request takes in µs, here and in the server. However
// busy the machine is, that is what limits the throughput of one whose cores are full.
func (s *saver) perRequest(b *testing.B) float64 {
	server := 0.0
	for _, m := range used.FindAllStringSubmatch(s.server.Client(b).Info(b.Context(), "cpu").Val(), -1) {
		seconds, _ := strconv.ParseFloat(m[1], 64)
		server += seconds
	}
	return (s.cpu + server) / float64(s.requests.Load()) * 1e6
}

var used = regexp.MustCompile(`used_cpu_(?:sys|user):([0-9.]+)`)

// processCPU is the CPU time of this process in s.
func processCPU(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// BenchmarkSave compares saves of a session of 4 KB by SET … IFEQ with those by the
// script, in one run, on each server of REDISHTTP_SERVERS and over both clients of a
// connection: an iteration is a round in which each works for a moment in turn, on a
// server of its own, and every goroutine has a session of its own. A request loads its
// session and saves it once (request), or twenty times (save). Reported are the requests
// per second by the script and, as medians over the rounds, how many times that SET …
// IFEQ serves; how many times the CPU time a request by the script takes, here and in the
// server; and the server's time for a save by INFO commandstats. Where the server does
// not have the command both use the script. Use -benchtime 20x and look at the ratios.
func BenchmarkSave(b *testing.B) {
	for _, program := range redistest.Programs() {
		server := strings.ReplaceAll(redistest.VersionOf(program), " ", "-")
		for _, client := range []string{"client", "batched"} {
			for _, path := range []string{"/save", "/request"} {
				b.Run(fmt.Sprintf("server=%s/%s/%s/n=64", server, client, path[1:]), func(b *testing.B) {
					script, ifeq := newSaver(b, program, client, connect.WithHook(withoutIFEQ{})), newSaver(b, program, client)
					var by, native []float64
					for b.Loop() {
						by = append(by, script.throughput(b, path, 64))
						native = append(native, ifeq.throughput(b, path, 64))
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(bench.Median(by, nil), "script/s")
					b.ReportMetric(bench.Median(native, by), "ifeq/script")
					b.ReportMetric(script.perRequest(b)/ifeq.perRequest(b), "script-cpu/ifeq-cpu")
					b.ReportMetric(ifeq.perRequest(b), "ifeq-cpu-us")
					b.ReportMetric(script.serverTime(b), "script-server-us")
					b.ReportMetric(ifeq.serverTime(b), "ifeq-server-us")
				})
			}
		}
	}
}
