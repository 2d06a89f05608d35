package connect

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Mode is a topology.
type Mode uint8

// The topologies. There is no guess by the number of addresses.
const (
	Standalone Mode = iota
	Sentinel
	Cluster
	Embedded
)

func (m Mode) String() string {
	switch m {
	case Standalone:
		return "standalone"
	case Sentinel:
		return "sentinel"
	case Cluster:
		return "cluster"
	case Embedded:
		return "embedded"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Config describes one connection. [Parse] makes one from a URL; the zero
// value of a field means its default.
type Config struct {
	Mode   Mode
	Addrs  []string // host:port; one for Standalone, the sentinels, or cluster seeds
	Socket string   // path of a unix socket instead of Addrs; Standalone
	Master string   // name of the master set; Sentinel
	DB     int      // database number; not on a Cluster

	Username string
	Password Secret
	// PasswordFile holds the password instead; it is read again at every new
	// connection, so that it can be rotated.
	PasswordFile string
	// Credentials, when set, is asked at every new connection instead of
	// Username and Password, so that they can be rotated.
	Credentials func(ctx context.Context) (username, password string, err error)

	// The sentinels' own credentials, which are never those of the data nodes,
	// and their own TLS where it differs: another authority, another
	// configuration, or plain text although the data nodes use TLS.
	SentinelUsername     string
	SentinelPassword     Secret
	SentinelPasswordFile string
	SentinelCAFile       string
	SentinelTLS          *tls.Config
	SentinelPlain        bool

	UseTLS     bool
	TLS        *tls.Config // base for the files below; nil is {MinVersion: TLS 1.2}
	CAFile     string      // PEM, instead of the system's authorities
	CertFile   string      // PEM, client certificate
	KeyFile    string      // PEM, its key
	ServerName string      // "" verifies each node by the host it is dialled at
	SkipVerify bool        // dangerous: anybody may answer

	ClientName string // shown by CLIENT LIST; default: program:connection
	Prefix     string // for [Conn.Key]
	Protocol   int    // RESP version, 3 by default

	DialTimeout  time.Duration // 1s
	ReadTimeout  time.Duration // 1s
	WriteTimeout time.Duration // 1s
	PoolTimeout  time.Duration // 500ms: the wait for a free connection
	IdleTime     time.Duration // 5m: idle connections are closed after it
	Lifetime     time.Duration // none
	PoolSize     int           // max(32, 10 x GOMAXPROCS), for each node of a Cluster
	MinIdle      int           // 0
	MaxActive    int           // no limit
	// Retries is how often go-redis sends a command again after a network
	// error. The default is none, for the command may have been executed:
	// with go-redis' own default of 3, one INCR was counted four times.
	Retries int
	// BatchAbove is how many calls of [Conn.Batched] go to Redis each on its own
	// before the next are sent together: 8; -1 turns batching off.
	BatchAbove int
}

var clientName = regexp.MustCompile(`^[!-~]*$`)

// validate fills in the defaults and reports every mistake.
func (c *Config) validate(m *mistakes) {
	switch c.Mode {
	case Standalone:
		m.check((len(c.Addrs) == 1) != (c.Socket != ""), "host", "exactly one address or a socket is needed, got %d", len(c.Addrs))
	case Sentinel:
		m.check(len(c.Addrs) > 0, "host", "no sentinel address")
		m.check(c.Master != "", "master", "is missing: redis+sentinel://host/<master>")
	case Cluster:
		m.check(len(c.Addrs) > 0, "host", "no address")
		m.check(c.DB == 0, "db", "a cluster has only database 0")
	case Embedded:
		m.check(len(c.Addrs) == 0 && c.Socket == "", "host", "embedded:// takes none")
	default:
		m.add("mode", "is unknown")
	}
	m.check(c.Socket == "" || c.Mode == Standalone, "socket", "only a standalone server has one")
	m.check(c.Socket == "" || !c.UseTLS, "socket", "TLS over a unix socket is not supported")
	m.check(c.Master == "" || c.Mode == Sentinel, "master", "only with sentinels")
	m.check(c.DB >= 0, "db", "is below 0")
	for _, addr := range c.Addrs {
		_, port, err := net.SplitHostPort(addr)
		n, perr := strconv.Atoi(port)
		m.check(err == nil && perr == nil && n >= 1 && n <= 65535, "host", "an address is not host:port with a port of 1 to 65535")
	}
	if c.Mode != Sentinel {
		m.check(c.SentinelUsername == "" && c.SentinelPassword == "" && c.SentinelPasswordFile == "", "sentinel_username", "only with sentinels")
		m.check(c.SentinelTLS == nil && c.SentinelCAFile == "" && !c.SentinelPlain, "sentinel_ca_file", "only with sentinels")
	}
	m.check(c.ServerName == "" || len(c.Addrs) < 2, "server_name", "with several hosts one name fits only one of them; leave it out and each node is verified by its own")
	m.check((c.CertFile == "") == (c.KeyFile == ""), "cert_file", "cert_file and key_file go together")
	tlsFields := c.TLS != nil || c.CAFile != "" || c.CertFile != "" || c.ServerName != "" || c.SkipVerify
	m.check(c.UseTLS || !tlsFields, "tls", "certificate settings without TLS: use rediss:// or UseTLS")
	m.check(clientName.MatchString(c.ClientName), "client_name", "must be printable ASCII without spaces")
	m.check(c.Protocol == 0 || c.Protocol == 2 || c.Protocol == 3, "protocol", "is 2 or 3")
	for field, d := range map[string]time.Duration{
		"dial_timeout": c.DialTimeout, "read_timeout": c.ReadTimeout, "write_timeout": c.WriteTimeout,
		"pool_timeout": c.PoolTimeout, "conn_max_idle_time": c.IdleTime, "conn_max_lifetime": c.Lifetime,
	} {
		m.check(d >= 0, field, "is below 0")
	}
	m.check(c.PoolSize >= 0 && c.PoolSize <= 100_000, "pool_size", "is not within 0 and 100000")
	m.check(c.MinIdle >= 0 && (c.PoolSize == 0 || c.MinIdle <= c.PoolSize), "min_idle_conns", "is not within 0 and pool_size")
	m.check(c.MaxActive >= 0, "max_active_conns", "is below 0")
	m.check(c.Retries >= 0 && c.Retries <= 10, "retries", "is not within 0 and 10")
	m.check(c.BatchAbove >= -1, "batch_above", "is below -1")
	c.setDefaults()
}

func (c *Config) setDefaults() {
	def := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	def(&c.DialTimeout, time.Second)
	def(&c.ReadTimeout, time.Second)
	def(&c.WriteTimeout, time.Second)
	def(&c.PoolTimeout, 500*time.Millisecond)
	def(&c.IdleTime, 5*time.Minute)
	if c.PoolSize == 0 {
		c.PoolSize = max(32, 10*runtime.GOMAXPROCS(0), c.MinIdle)
	}
	if c.BatchAbove == 0 {
		c.BatchAbove = 8
	}
	if c.Protocol == 0 {
		c.Protocol = 3
	}
}

// String is the configuration as a URL with the secrets redacted.
func (c Config) String() string {
	u := url.URL{Scheme: "redis", Host: strings.Join(c.Addrs, ",")}
	if c.UseTLS {
		u.Scheme = "rediss"
	}
	if c.Username != "" || c.Password != "" {
		u.User = url.User(c.Username)
		if c.Password != "" {
			u.User = url.UserPassword(c.Username, "redacted")
		}
	}
	db := "/" + strconv.Itoa(c.DB)
	switch c.Mode {
	case Sentinel:
		u.Scheme, u.Path = u.Scheme+"+sentinel", "/"+c.Master+db
	case Cluster:
		u.Scheme += "+cluster"
	case Embedded:
		return "embedded://"
	default:
		u.Path = db
		if c.Socket != "" {
			u.Scheme, u.Path, u.RawQuery = "redis+unix", c.Socket, "db="+strconv.Itoa(c.DB)
		}
	}
	return u.String()
}

// GoString is String, so that %#v shows no secret.
func (c Config) GoString() string { return c.String() }

// LogValue is String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
