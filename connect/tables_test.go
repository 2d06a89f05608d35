package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/unavailable"
)

func TestSuggest(t *testing.T) {
	names := []string{"read_timeout", "pool_size", "prefix", "db"}
	for word, want := range map[string]string{
		"red_timeout": "read_timeout", "pool_sise": "pool_size", "poolsize": "pool_size", "prefxi": "prefix", "dbb": "db", "d": "db",
		"timeout": "", "": "", "xyz": "", "read_timeout": "read_timeout",
	} {
		if got := suggest(word, names); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	if got := suggest("x", nil); got != "" {
		t.Errorf("of nothing: got %q", got)
	}
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "acb", 2}, {"abc", "ab", 1}, {"abcdef", "abc", 3}, {"kitten", "sitten", 1}} {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
		if got := edits(c.b, c.a); got != c.want {
			t.Errorf("%q to %q: got %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

// Every mistake in a Config is reported, under the name of its URL parameter.
func TestValidate(t *testing.T) {
	good := Config{Addrs: []string{"h:1"}}
	sentinel := Config{Mode: Sentinel, Addrs: []string{"h:1"}, Master: "m"}
	cluster := Config{Mode: Cluster, Addrs: []string{"h:1", "g:2"}}
	secure := Config{Addrs: []string{"h:1"}, UseTLS: true}
	for name, c := range map[string]struct {
		base   Config
		change func(*Config)
		want   string // "" for none
	}{
		"a server":               {good, func(*Config) {}, ""},
		"a socket":               {Config{Socket: "/s"}, func(*Config) {}, ""},
		"sentinels":              {sentinel, func(*Config) {}, ""},
		"a cluster":              {cluster, func(*Config) {}, ""},
		"embedded":               {Config{Mode: Embedded}, func(*Config) {}, ""},
		"no address":             {Config{}, func(*Config) {}, "host: exactly one address or a socket is needed, got 0"},
		"two addresses":          {good, func(c *Config) { c.Addrs = []string{"a:1", "b:2"} }, "host: exactly one"},
		"an address and socket":  {good, func(c *Config) { c.Socket = "/s" }, "host: exactly one"},
		"no sentinel":            {sentinel, func(c *Config) { c.Addrs = nil }, "host: no sentinel address"},
		"no master":              {sentinel, func(c *Config) { c.Master = "" }, "master: is missing"},
		"a master of nothing":    {good, func(c *Config) { c.Master = "m" }, "master: only with sentinels"},
		"no seed":                {cluster, func(c *Config) { c.Addrs = nil }, "host: no address"},
		"a cluster's database":   {cluster, func(c *Config) { c.DB = 1 }, ""},
		"a negative database":    {good, func(c *Config) { c.DB = -1 }, "db: is below 0"},
		"an embedded address":    {Config{Mode: Embedded}, func(c *Config) { c.Addrs = []string{"h:1"} }, "host: embedded:// takes none"},
		"an unknown mode":        {good, func(c *Config) { c.Mode = 9 }, "mode: is unknown"},
		"a cluster's socket":     {cluster, func(c *Config) { c.Socket = "/s" }, "socket: only a standalone server"},
		"TLS over a socket":      {Config{Socket: "/s"}, func(c *Config) { c.UseTLS = true }, "socket: TLS over a unix socket"},
		"no port":                {good, func(c *Config) { c.Addrs = []string{"h"} }, "host: an address is not host:port"},
		"port 0":                 {good, func(c *Config) { c.Addrs = []string{"h:0"} }, "host: an address is not host:port"},
		"port 65536":             {good, func(c *Config) { c.Addrs = []string{"h:65536"} }, "host: an address is not host:port"},
		"a sentinel's user":      {good, func(c *Config) { c.SentinelUsername = "u" }, "sentinel_username: only with sentinels"},
		"a sentinel's authority": {secure, func(c *Config) { c.SentinelCAFile = "f" }, "sentinel_ca_file: only with sentinels"},
		"one name for two":       {cluster, func(c *Config) { c.UseTLS, c.ServerName = true, "n" }, "server_name: with several hosts"},
		"no key":                 {secure, func(c *Config) { c.CertFile = "f" }, "cert_file: cert_file and key_file"},
		"an authority, no TLS":   {good, func(c *Config) { c.CAFile = "f" }, "tls: certificate settings without TLS"},
		"skip_verify, no TLS":    {good, func(c *Config) { c.SkipVerify = true }, "tls: certificate settings without TLS"},
		"a name with a space":    {good, func(c *Config) { c.ClientName = "a b" }, "client_name: must be printable"},
		"a library with a space": {good, func(c *Config) { c.LibraryName = "a b" }, "library_name: must be printable"},
		"a library in brackets":  {good, func(c *Config) { c.LibraryName = "a(b)" }, "library_name: must be printable"},
		"a library":              {good, func(c *Config) { c.LibraryName = "shop-1.2_x*+~" }, ""},
		"RESP 4":                 {good, func(c *Config) { c.Protocol = 4 }, "protocol: is 2 or 3"},
		"a negative dial":        {good, func(c *Config) { c.Timeouts.Dial = -1 }, "dial_timeout: is below 0"},
		"a negative read":        {good, func(c *Config) { c.Timeouts.Read = -1 }, "read_timeout: is below 0"},
		"a negative write":       {good, func(c *Config) { c.Timeouts.Write = -1 }, "write_timeout: is below 0"},
		"a negative wait":        {good, func(c *Config) { c.Timeouts.Pool = -1 }, "pool_timeout: is below 0"},
		"a negative idle time":   {good, func(c *Config) { c.IdleTime = -1 }, "conn_max_idle_time: is below 0"},
		"a negative lifetime":    {good, func(c *Config) { c.Lifetime = -1 }, "conn_max_lifetime: is below 0"},
		"a huge pool":            {good, func(c *Config) { c.PoolSize = 100_001 }, "pool_size: is not within"},
		"more idle than all":     {good, func(c *Config) { c.PoolSize, c.MinIdle = 2, 3 }, "min_idle_conns: is not within"},
		"negative connections":   {good, func(c *Config) { c.MaxActive = -1 }, "max_active_conns: is below 0"},
		"too many retries":       {good, func(c *Config) { c.Retries = 11 }, "retries: is not within"},
		"batching below off":     {good, func(c *Config) { c.BatchAbove = -2 }, "batch_above: is below -1"},
	} {
		t.Run(name, func(t *testing.T) {
			config := c.base
			c.change(&config)
			s := record([]Option{WithName("c")})
			s.Config = config
			m := s.check()
			s.validate(m)
			err := m.Err()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), "connect: c: "+c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c := Config{MinIdle: 5000}
	c.setDefaults()
	want := Config{Timeouts: Timeouts{time.Second, time.Second, time.Second, 500 * time.Millisecond}, IdleTime: 5 * time.Minute, PoolSize: 5000, MinIdle: 5000, BatchAbove: 8, Protocol: 3}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	set := Config{Timeouts: Timeouts{1, 2, 3, 4}, IdleTime: 5, PoolSize: 6, BatchAbove: -1, Protocol: 2}
	got := set
	if got.setDefaults(); !reflect.DeepEqual(got, set) {
		t.Errorf("got %+v, want %+v", got, set)
	}
}

// A configuration prints as its URL, whatever prints it.
func TestConfigPrintsAsURL(t *testing.T) {
	for want, c := range map[string]Config{
		"redis://h:1/0":                      {Addrs: []string{"h:1"}},
		"rediss://h:1/2":                     {Addrs: []string{"h:1"}, UseTLS: true, DB: 2},
		"redis://ann:redacted@h:1/0":         {Addrs: []string{"h:1"}, Username: "ann", Password: "hunter2"},
		"redis://ann@h:1/0":                  {Addrs: []string{"h:1"}, Username: "ann"},
		"redis://:redacted@h:1/0":            {Addrs: []string{"h:1"}, Password: "hunter2"},
		"redis+unix:///run/s?db=3":           {Socket: "/run/s", DB: 3},
		"redis+sentinel://a:1,b:2/main/4":    {Mode: Sentinel, Addrs: []string{"a:1", "b:2"}, Master: "main", DB: 4},
		"rediss+cluster://:redacted@a:1,b:2": {Mode: Cluster, Addrs: []string{"a:1", "b:2"}, UseTLS: true, Password: "hunter2"},
		"embedded://":                        {Mode: Embedded, Addrs: []string{"127.0.0.1:1"}, Password: "hunter2"},
		"redis+sentinel://s:26379/m/0":       {Mode: Sentinel, Addrs: []string{"s:26379"}, Master: "m", SentinelPassword: "hunter2"},
	} {
		text, err := c.MarshalText()
		for _, got := range []string{c.String(), string(text), fmt.Sprintf("%v", c), fmt.Sprintf("%+v", &c)} {
			if got != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
		if got := fmt.Sprintf("%#v %q %x", c, c, c); strings.Contains(got, "hunter2") || strings.Contains(got, "68756e74657232") {
			t.Errorf("a secret is printed: %s", got)
		}
	}
	for mode, want := range map[Mode]string{Standalone: "standalone", Sentinel: "sentinel", Cluster: "cluster", Embedded: "embedded", 9: "Mode(9)"} {
		if got := mode.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Options override the URL, and the last of a kind wins.
func TestOptionsOverrideTheURL(t *testing.T) {
	config, err := Parse("redis://u:p@h?dial_timeout=11s&read_timeout=12s&write_timeout=13s&pool_timeout=14s&pool_size=15&min_idle_conns=1&retries=2&client_name=url&prefix=url&batch_above=3")
	if err != nil {
		t.Fatal(err)
	}
	s, m := prepared(config, []Option{
		WithTimeouts(Timeouts{Read: time.Minute}), WithPool(20, 2), WithRetries(4), WithClientName("option"), WithPrefix("one"), WithPrefix("two"), WithBatching(5), nil,
		WithTimeouts(Timeouts{Pool: time.Hour}),
	})
	if m.Err() != nil {
		t.Fatal(m.Err())
	}
	if want := (Timeouts{11 * time.Second, time.Minute, 13 * time.Second, time.Hour}); s.Timeouts != want {
		t.Errorf("timeouts: got %+v, want %+v", s.Timeouts, want)
	}
	if s.PoolSize != 20 || s.MinIdle != 2 || s.Retries != 4 || s.ClientName != "option" || s.Prefix != "two" || s.BatchAbove != 5 {
		t.Errorf("got %+v", s.Config)
	}
	if o := s.node; o.DialTimeout != 11*time.Second || o.ReadTimeout != time.Minute || o.PoolTimeout != time.Hour || o.PoolSize != 20 || o.MaxRetries != 4 || !o.ContextTimeoutEnabled {
		t.Errorf("got %+v", o)
	}
}

func TestNames(t *testing.T) {
	for want, opts := range map[string][]Option{"default": nil, "a": {WithName("a")}, "b": {WithName("a"), nil, WithName("b")}} {
		if got := record(opts).name; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if _, err := Open("redis://h", WithName("")); err == nil || !strings.Contains(err.Error(), "WithName: is empty") {
		t.Errorf("got %v", err)
	}
	_, err := Open("redis://h:0?nonsense=1", WithName("shop"))
	if err == nil || strings.Count(err.Error(), "connect: shop: ") != 2 {
		t.Errorf("mistakes of the URL do not name the connection: %v", err)
	}
	set := NewSet(WithName("ignored"))
	if err := set.Add("mine", "redis://127.0.0.1:1", WithName("ignored too")); err != nil {
		t.Fatal(err)
	}
	conn, err := set.Get("mine")
	if err != nil || conn.Name() != "mine" {
		t.Errorf("got %v, %v", conn, err)
	}
	if err := set.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSecretsPrintNothing(t *testing.T) {
	const secret = Secret("hunter2")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T%v"} {
		if got := fmt.Sprintf(verb, secret); strings.Contains(got, "hunter2") || strings.Contains(strings.ToLower(got), "68756e") {
			t.Errorf("%s: %s", verb, got)
		}
	}
	for want, s := range map[string]Secret{"": "", "[redacted]": secret} {
		text, err := s.MarshalText()
		if got := fmt.Sprint(s); got != want || string(text) != want || err != nil {
			t.Errorf("got %q and %q, want %q", got, text, want)
		}
	}
	var out strings.Builder
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "secret", secret, "all", []Secret{secret}, "of", map[string]Secret{"k": secret}, "in", struct{ P Secret }{secret})
	}
	if strings.Contains(out.String(), "hunter2") || strings.Count(out.String(), "[redacted]") != 8 {
		t.Errorf("got %s", out.String())
	}
}

func TestHints(t *testing.T) {
	for want, err := range map[string]error{
		"":                               errors.New("anything"),
		"the master's name":              fmt.Errorf("x: %w", errNoMaster),
		"check user and password":        reply("WRONGPASS invalid username-password pair"),
		"ACL":                            reply("NOPERM this user has no permissions"),
		"the server's certificate":       &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
		"ca_file and the host name":      x509.UnknownAuthorityError{},
		"use redis:// instead":           tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"},
		"check cert_file and key_file":   errors.New("remote error: tls: bad certificate"),
		"does it expect TLS (rediss://)": io.EOF,
	} {
		if got := hint(nil, err); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

// reply is an error in the words of Redis.
type reply string

func (a reply) Error() string { return string(a) }
func (reply) RedisError()     {}

// idle is a connection that never dials.
func idle(t *testing.T, opts ...Option) *Conn {
	t.Helper()
	c, err := Open("redis://127.0.0.1:1", append(opts, WithName("shop"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return c
}

// Errors that mean Redis cannot be used become one error; others stay as they are.
func TestExplain(t *testing.T) {
	c := idle(t)
	dial := errors.New("connection refused")
	c.dials.last.Store(&dial)
	already := &UnavailableError{Conn: "other", Err: io.EOF}
	for name, tc := range map[string]struct {
		err         error
		unavailable bool
		text        string
	}{
		"none":         {nil, false, ""},
		"missing":      {redis.Nil, false, ""},
		"a mistake":    {errors.New("redis: can't marshal"), false, ""},
		"a wrong type": {reply("WRONGTYPE Operation against a key"), false, ""},
		"no script":    {reply("NOSCRIPT No matching script"), false, ""},
		"discarded":    {reply("EXECABORT Transaction discarded"), false, ""},
		"gave up":      {context.Canceled, false, ""},
		"already":      {fmt.Errorf("x: %w", already), true, "x: connect: other: redis is unavailable: EOF"},
		"cut off":      {io.EOF, true, "connect: shop: redis is unavailable: EOF (last dial: connection refused)"},
		"late":         {context.DeadlineExceeded, true, "context deadline exceeded (last dial: connection refused)"},
		"no master":    {errNoMaster, true, "the sentinels know no master"},
		"loading":      {reply("LOADING Redis is loading the dataset in memory"), true, "connect: shop: redis is unavailable: LOADING Redis is loading the dataset in memory"},
		"full":         {reply("OOM command not allowed"), true, "redis is unavailable: OOM command not allowed"},
		"down":         {reply("CLUSTERDOWN Hash slot not served"), true, "CLUSTERDOWN"},
		"pool":         {redis.ErrPoolTimeout, true, "0 of 0 connections are in use"},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.explain(tc.err)
			if !errors.Is(got, tc.err) || errors.Is(got, ErrUnavailable) != tc.unavailable || errors.Is(got, unavailable.Err) != tc.unavailable {
				t.Errorf("got %v", got)
			}
			if !tc.unavailable && got != tc.err { //nolint:errorlint // the very error, not one around it
				t.Errorf("got %v, want the error itself", got)
			}
			if tc.unavailable && !strings.Contains(got.Error(), tc.text) {
				t.Errorf("got %v, want %q", got, tc.text)
			}
		})
	}
	if got := c.explain(redis.ErrClosed); !errors.Is(got, ErrClosed) || !errors.Is(got, redis.ErrClosed) || errors.Is(got, ErrUnavailable) || got.Error() != "connect: shop: closed" {
		t.Errorf("closed: got %v", got)
	}
	refused := c.circuitOf("").refusal()
	if got := c.explain(refused); !errors.Is(got, ErrUnavailable) || !errors.Is(got, breaker.ErrOpen) {
		t.Errorf("rejected by the breaker: got %v", got)
	}
}

func TestUnavailableError(t *testing.T) {
	cause, dial := errors.New("cause"), errors.New("dial")
	for want, e := range map[string]*UnavailableError{
		"connect: c: redis is unavailable: cause":                                {Conn: "c", Err: cause},
		"connect: c: redis at h:1 is unavailable: cause":                         {Conn: "c", Addr: "h:1", Err: cause},
		"connect: c: redis is unavailable: cause (last dial: dial)":              {Conn: "c", Err: cause, LastDial: dial},
		"connect: c: redis is unavailable: cause: check it":                      {Conn: "c", Err: cause, Hint: "check it"},
		"connect: c: redis is unavailable: dial":                                 {Conn: "c", Err: dial, LastDial: dial}, // said once
		"connect: c: redis at h:1 is unavailable: cause (last dial: dial): hint": {Conn: "c", Addr: "h:1", Err: cause, LastDial: dial, Hint: "hint"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !errors.Is(e, ErrUnavailable) || !errors.Is(e, e.Err) || e.LastDial != nil && !errors.Is(e, dial) || errors.Is(e, ErrClosed) {
			t.Errorf("%q does not match its causes", want)
		}
	}
	for cause, want := range map[error]bool{context.DeadlineExceeded: true, context.Canceled: false} {
		for _, shared := range []bool{true, false} {
			e := &abandoned{cause, shared}
			if errors.Is(e, ErrUnavailable) != want || !errors.Is(e, cause) || !errors.Is(e, bounded.ErrAbandoned) || errors.Is(e, breaker.ErrShared) != shared {
				t.Errorf("%v, shared %v: it matches the wrong errors", cause, shared)
			}
		}
	}
}

// The gate lets calls pass until it is shut, and then knows when the last one left.
func TestGate(t *testing.T) {
	g := newGate(nil)
	for range 3 {
		if !g.enter() {
			t.Fatal("an open gate rejects a call")
		}
	}
	if n := g.inFlight(); n != 3 {
		t.Errorf("got %d in flight, want 3", n)
	}
	g.shut()
	if g.enter() {
		t.Error("a shut gate lets a call pass")
	}
	for range 3 {
		select {
		case <-g.drained:
			t.Fatal("drained with a call in flight")
		default:
		}
		g.leave()
	}
	<-g.drained
	if n := g.inFlight(); n != 0 {
		t.Errorf("got %d in flight, want 0", n)
	}
}

func TestGateUnderContention(t *testing.T) {
	for range 50 {
		g := newGate(nil)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					if g.enter() {
						g.leave()
					}
				}
			})
		}
		wg.Go(g.shut)
		wg.Wait()
		<-g.drained // never, if an exit were missed
	}
}

// Commands are sorted into those of the handshake, those that go-redis spreads,
// and those that may be batched.
func TestKindsOfCommands(t *testing.T) {
	ctx := t.Context()
	for _, c := range []struct {
		args                       []any
		handshake, spread, batches bool
	}{
		{[]any{"get", "k"}, false, false, true},
		{[]any{"hello", 3}, true, true, false},
		{[]any{"auth", "p"}, true, true, false},
		{[]any{"client", "setname", "n"}, true, true, false},
		{[]any{"select", 1}, true, true, false},
		{[]any{"readonly"}, true, true, false},
		{[]any{"del", "a"}, false, true, true},
		{[]any{"del", "a", "b"}, false, true, false},
		{[]any{"mget", "a"}, false, true, false},
		{[]any{"evalsha", "x", 1, "k"}, false, false, true},
		{[]any{"ping"}, false, true, false},
		{[]any{"blpop", "k", 0}, false, false, false},
		{[]any{"xread", "block", 0, "streams", "k", "$"}, false, false, false},
		{[]any{"multi"}, false, true, false},
		{[]any{"subscribe", "c"}, false, false, false},
		{[]any{"unlink", "a", "b"}, false, true, false},
	} {
		cmd := redis.NewCmd(ctx, c.args...)
		if got := handshake(cmd); got != c.handshake {
			t.Errorf("%v: handshake %v", c.args, got)
		}
		if got := spread[cmd.Name()]; got != c.spread {
			t.Errorf("%v: spread %v", c.args, got)
		}
		if got := batchable(cmd); got != c.batches {
			t.Errorf("%v: batchable %v", c.args, got)
		}
	}
}

// A command whose reply goes to a buffer of the caller's is never left behind in a
// batch.
func TestRepliesToTheCallersBufferAreNotBatched(t *testing.T) {
	if batchable(redis.NewRawWriteToCmd(t.Context(), io.Discard, "get", "k")) {
		t.Error("it is batched")
	}
}

func TestFirstKey(t *testing.T) {
	for want, args := range map[string][]any{
		"k": {"get", "k"}, "a": {"evalsha", "x", 2, "a", "b"}, "": {"publish", "c", "m"}, "h": {"HSET", "h", "f", "v"}, "f": {"fcall", "name", 1, "f"},
	} {
		if got := firstKey(redis.NewCmd(t.Context(), args...)); got != want {
			t.Errorf("%v: got %q, want %q", args, got, want)
		}
	}
	for _, args := range [][]any{{"eval", "return 1", 0}, {"get", 1}, {"get"}} {
		if got := firstKey(redis.NewCmd(t.Context(), args...)); got != "" {
			t.Errorf("%v: got %q, want none", args, got)
		}
	}
}

func TestWeight(t *testing.T) {
	if got, ok := weight(redis.NewCmd(t.Context(), "set", "key", []byte("12345"), "px", time.Minute, 1, nil)); got < 13 || got > 100 || !ok {
		t.Errorf("got %d, %v", got, ok)
	}
	for _, arg := range []any{struct{}{}, new(string), net.IP{1}, url.URL{}} {
		if _, ok := weight(redis.NewCmd(t.Context(), "set", "key", arg)); ok {
			t.Errorf("%T: it is sent with those of others", arg)
		}
	}
}

// What INFO says of a server, and a master of its replicas.
func TestNodesOfInfo(t *testing.T) {
	master := infoFields("# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nuptime_in_seconds:9\r\nconnected_clients:3\r\nused_memory:100\r\nmaxmemory:200\r\nmaxmemory_policy:noeviction\r\n" +
		"instantaneous_ops_per_sec:4\r\nkeyspace_hits:5\r\nkeyspace_misses:6\r\nevicted_keys:7\r\nrole:master\r\nmaster_repl_offset:1000\r\nnonsense\r\n")
	want := Node{
		Addr: "h:1", Role: "master", OK: true, Server: "Valkey", Version: "9.1.2", UptimeSeconds: 9, Clients: 3, UsedMemory: 100, MaxMemory: 200, Policy: "noeviction", OpsPerSecond: 4, Hits: 5, Misses: 6,
		Evicted: 7, offset: 1000,
	}
	if got := master.node("h:1"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	replica := infoFields("role:slave\nmaster_host:10.0.0.1\nmaster_port:6379\nmaster_link_status:up\nslave_repl_offset:900\nmaster_repl_offset:1")
	if got := replica.node("h:2"); got.Role != "replica" || got.Master != "10.0.0.1:6379" || !got.LinkUp || got.offset != 900 {
		t.Errorf("got %+v", got)
	}
	for line, want := range map[string]Node{
		"ip=10.0.0.2,port=6379,state=online,offset=12,lag=0": {Addr: "10.0.0.2:6379", Role: "replica", Master: "m:1", OK: true, LinkUp: true, offset: 12},
		"ip=::1,port=1,state=wait_bgsave,offset=0,lag=0":     {Addr: "[::1]:1", Role: "replica", Master: "m:1", Error: "its master reports it as wait_bgsave"},
		"nonsense": {Addr: ":", Role: "replica", Master: "m:1", Error: "its master reports it as "},
	} {
		if got := replicaOf("m:1", line); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", line, got, want)
		}
	}
}

// Options of one server of a client of the user's.
func TestOneServer(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not here") }
	for name, c := range map[string]struct {
		options redis.Options
		addr    string
		network string
		want    string
		dials   bool
	}{
		"the server itself":  {redis.Options{Network: "tcp", Addr: "h:1", Dialer: dial}, "h:1", "tcp", "h:1", true},
		"its replica":        {redis.Options{Network: "tcp", Addr: "h:1", Dialer: dial}, "h:2", "tcp", "h:2", true},
		"a socket":           {redis.Options{Network: "unix", Addr: "/run/s", Dialer: dial}, "/run/s", "unix", "/run/s", true},
		"another socket":     {redis.Options{Network: "tcp", Addr: "h:1", Dialer: dial}, "/run/s", "unix", "/run/s", true},
		"a failover master":  {redis.Options{Network: "tcp", Addr: failoverAddr, Dialer: dial}, "", "tcp", failoverAddr, true},
		"a failover replica": {redis.Options{Network: "tcp", Addr: failoverAddr, Dialer: dial}, "h:2", "tcp", "h:2", false},
		"a cluster's node":   {redis.Options{}, "h:3", "tcp", "h:3", false},
	} {
		before := c.options
		before.PoolSize, before.MinIdleConns = 50, 10
		got := oneServer(before, c.addr)
		if got.Network != c.network || got.Addr != c.want || (got.Dialer != nil) != c.dials {
			t.Errorf("%s: got %s %s, dialer %v", name, got.Network, got.Addr, got.Dialer != nil)
		}
		if got.PoolSize != directPool || got.MinIdleConns != 0 || got.MaxRetries != -1 || !got.ContextTimeoutEnabled {
			t.Errorf("%s: got %+v", name, got)
		}
		if before.PoolSize != 50 {
			t.Errorf("%s: the client's own options were changed", name)
		}
	}
}
