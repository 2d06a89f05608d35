package connect

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/redishttp/redishttp/internal/setting"
)

// Mode is a topology: how the servers of a connection are found.
type Mode uint8

// The topologies. A mode is stated, never inferred from the number of addresses.
const (
	// Standalone is one server, over TCP, TLS or a unix socket. It is the default.
	Standalone Mode = iota
	// Sentinel is a master and its replicas, found through sentinels. Commands go
	// to the master, after a failover to the new one.
	Sentinel
	// Cluster is Redis Cluster: each key is on one of several masters.
	Cluster
	// Embedded is a server inside this process, for development, see
	// [WithEmbedded].
	Embedded
)

// String returns the name: standalone, sentinel, cluster or embedded; Mode(n)
// for a number that is none of them.
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

// Timeouts bound the steps of a call to Redis. In an option a zero field leaves
// the URL's timeout, or the default, in place. A negative one is a mistake. A
// context's deadline holds as well, whichever is first.
type Timeouts struct {
	// Dial bounds the opening of a connection with its TLS handshake. The default
	// is 1s.
	Dial time.Duration
	// Read bounds the wait for a reply. The default is 1s.
	Read time.Duration
	// Write bounds the sending of a command. The default is 1s.
	Write time.Duration
	// Pool bounds the wait for a free connection while the whole pool is in use.
	// The default is 500ms.
	Pool time.Duration
}

// Config describes one connection, for [New]. [Parse] makes one from a URL. The
// zero value of a field is its default; each numeric field that is negative is
// a mistake, unless it says otherwise. Printed, logged or marshaled it is its
// URL without secrets.
type Config struct { //nolint:recvcheck // String is for values, validate changes one
	// Mode is the topology; the zero value is Standalone.
	Mode Mode
	// Addrs are host:port: one for Standalone, the sentinels, or seeds of a
	// Cluster, from which go-redis learns the other nodes. Give several seeds:
	// one must be up when the topology is first read.
	Addrs []string
	// Socket is the path of a unix socket in place of Addrs, for Standalone.
	Socket string
	// Master is the name by which the sentinels know the master.
	Master string
	// DB is the database number, 0 by default. A Cluster has others only on Valkey 9
	// and later, where cluster-databases says how many; elsewhere Ready fails at once.
	DB int

	// Username and Password log in to the data nodes. An empty user name is the
	// user "default"; without a password nothing is sent.
	Username string
	Password Secret
	// PasswordFile names a file with the password, read whenever a connection is
	// opened, so that it can be rotated. One trailing newline is ignored.
	PasswordFile string
	// Credentials, if set, is called whenever a connection is opened, in place
	// of Username and Password, so that they can be rotated. With PasswordFile
	// it is a mistake.
	Credentials func(ctx context.Context) (username, password string, err error)

	// The sentinels' credentials, which are never those of the data nodes. The
	// default is none.
	SentinelUsername     string
	SentinelPassword     Secret
	SentinelPasswordFile string
	// The sentinels' TLS where it differs from that of the data nodes: another
	// authority, another configuration, or plain text although the data nodes use
	// TLS. The default is the data nodes'.
	SentinelCAFile string
	SentinelTLS    *tls.Config
	SentinelPlain  bool

	// UseTLS turns TLS on; the default is plain text.
	UseTLS bool
	// TLS is the configuration that the fields below are added to. The default
	// accepts TLS 1.2 and above.
	TLS *tls.Config
	// CAFile is a PEM file of the authorities to trust in place of the system's.
	CAFile string
	// CertFile and KeyFile are PEM files of the client's certificate and its key,
	// for mutual TLS. Either both or neither is set.
	CertFile string
	KeyFile  string
	// ServerName is the name to verify in certificates. By default each node is
	// verified by the host at which it is dialled.
	ServerName string
	// SkipVerify accepts every certificate. It is dangerous, because any server can
	// pose as Redis, and logged. The default is false.
	SkipVerify bool

	// ClientName is what CLIENT LIST shows; program:connection by default.
	ClientName string
	// LibraryName is what CLIENT LIST shows as lib-name. By default nothing is sent,
	// see [WithLibraryName].
	LibraryName string
	// Prefix is the first part of the keys that [Conn.Key] makes; none by default.
	Prefix string
	// Protocol is the RESP version, 2 or 3; 3 by default.
	Protocol int

	// Timeouts bound the steps of each call; see there for the defaults.
	Timeouts Timeouts
	// IdleTime is how long a connection may be idle before it is closed; 5m by
	// default. Keep it below the idle timeout of proxies and providers.
	IdleTime time.Duration
	// Lifetime is how old a connection may get before it is replaced; not limited
	// by default. Set it where credentials expire or addresses change.
	Lifetime time.Duration
	// PoolSize is the largest number of pooled connections, for each node of a
	// Cluster; max(32, 10 x GOMAXPROCS) by default, 100,000 at most. A call
	// that finds none free waits for [Timeouts].Pool.
	PoolSize int
	// MinIdle is how many idle connections are kept open; 0 by default,
	// PoolSize at most. Set it where a dial is slow, as with TLS over long
	// distances.
	MinIdle int
	// MaxActive is the largest number of connections, pooled or not; 0, the
	// default, is no limit. Set it where the server limits its clients.
	MaxActive int
	// Retries is how often a command is retried after a network error, 10 at
	// most. The default is 0, because the command may have been executed: with
	// go-redis' own default of 3, one INCR was counted four times.
	Retries int
	// BatchAbove is how many calls of [Conn.Batched] go to Redis one by one
	// before further ones are sent together. The default is 8; -1 turns batching
	// off.
	BatchAbove int
}

// clientName matches what CLIENT SETNAME accepts.
var clientName = regexp.MustCompile(`^[!-~]*$`)

// libraryName matches what can stand between go-redis( and ).
var libraryName = regexp.MustCompile(`^[!-'*+\--~]*$`)

// validate fills in the defaults and reports every mistake.
func (c *Config) validate(m *setting.Check) {
	switch c.Mode {
	case Standalone:
		m.That((len(c.Addrs) == 1) != (c.Socket != ""), "host", "exactly one address or a socket is needed, got %d", len(c.Addrs))
	case Sentinel:
		m.That(len(c.Addrs) > 0, "host", "no sentinel address")
		m.That(c.Master != "", "master", "is missing: redis+sentinel://host/<master>")
	case Cluster:
		m.That(len(c.Addrs) > 0, "host", "no address")
	case Embedded:
		m.That(len(c.Addrs) == 0 && c.Socket == "", "host", "embedded:// takes none")
	default:
		m.Fail("mode", "is unknown")
	}
	m.That(c.Socket == "" || c.Mode == Standalone, "socket", "only a standalone server has one")
	m.That(c.Socket == "" || !c.UseTLS, "socket", "TLS over a unix socket is not supported")
	m.That(c.Master == "" || c.Mode == Sentinel, "master", "only with sentinels")
	m.That(c.DB >= 0, "db", "is below 0")
	for _, addr := range c.Addrs {
		_, port, err := net.SplitHostPort(addr)
		n, perr := strconv.Atoi(port)
		m.That(err == nil && perr == nil && n >= 1 && n <= 65535, "host", "an address is not host:port with a port of 1 to 65535")
	}
	if c.Mode != Sentinel {
		m.That(c.SentinelUsername == "" && c.SentinelPassword == "" && c.SentinelPasswordFile == "", "sentinel_username", "only with sentinels")
		m.That(c.SentinelTLS == nil && c.SentinelCAFile == "" && !c.SentinelPlain, "sentinel_ca_file", "only with sentinels")
	}
	m.That(c.ServerName == "" || len(c.Addrs) < 2, "server_name", "with several hosts one name fits only one of them; leave it out and each node is verified by its own")
	m.That((c.CertFile == "") == (c.KeyFile == ""), "cert_file", "cert_file and key_file go together")
	tlsFields := c.TLS != nil || c.CAFile != "" || c.CertFile != "" || c.ServerName != "" || c.SkipVerify
	m.That(c.UseTLS || !tlsFields, "tls", "certificate settings without TLS: use rediss:// or UseTLS")
	m.That(clientName.MatchString(c.ClientName), "client_name", "must be printable ASCII without spaces")
	m.That(libraryName.MatchString(c.LibraryName), "library_name", "must be printable ASCII without spaces, parentheses or commas")
	m.That(c.Protocol == 0 || c.Protocol == 2 || c.Protocol == 3, "protocol", "is 2 or 3")
	for field, d := range map[string]time.Duration{
		"dial_timeout": c.Timeouts.Dial, "read_timeout": c.Timeouts.Read, "write_timeout": c.Timeouts.Write,
		"pool_timeout": c.Timeouts.Pool, "conn_max_idle_time": c.IdleTime, "conn_max_lifetime": c.Lifetime,
	} {
		m.That(d >= 0, field, "is below 0")
	}
	m.That(c.PoolSize >= 0 && c.PoolSize <= 100_000, "pool_size", "is not within 0 and 100000")
	m.That(c.MinIdle >= 0 && (c.PoolSize == 0 || c.MinIdle <= c.PoolSize), "min_idle_conns", "is not within 0 and pool_size")
	m.That(c.MaxActive >= 0, "max_active_conns", "is below 0")
	m.That(c.Retries >= 0 && c.Retries <= 10, "retries", "is not within 0 and 10")
	m.That(c.BatchAbove >= -1, "batch_above", "is below -1")
	c.setDefaults()
}

// setDefaults replaces zero values by their defaults.
func (c *Config) setDefaults() {
	def := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	def(&c.Timeouts.Dial, time.Second)
	def(&c.Timeouts.Read, time.Second)
	def(&c.Timeouts.Write, time.Second)
	def(&c.Timeouts.Pool, 500*time.Millisecond)
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

// String returns the configuration as a URL, with secrets redacted. Settings
// that are parameters of a URL are not in it.
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
		if c.DB != 0 {
			u.Path = db
		}
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

// MarshalText returns what String does, for encoding/json and log/slog.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
