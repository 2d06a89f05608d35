package connect

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redishttp/redishttp/internal/setting"
)

// Parse reads a connection URL. One grammar covers all topologies:
//
//	redis[s]://[user:password@]host[:6379][/db]
//	redis+unix://[user:password@]/path.sock[?db=1]
//	redis[s]+sentinel://[user:password@]s1[:26379],s2,[::1]:26379/master[/db]
//	redis[s]+cluster://[user:password@]h1[:6379],h2[/db]
//	embedded://
//	host:port
//
// It accepts unix://, redis-socket:// and Lettuce's
// redis-sentinel://…?sentinelMasterId=m as well. The user is always that of the
// data nodes; sentinels have the parameters sentinel_username and
// sentinel_password_file. User, password and parameters are percent-encoded
// (RFC 3986, section 2.1).
//
// Each parameter sets a field of [Config], where its default is. Durations are
// like 500ms; bare numbers are seconds.
//
//	dial_timeout read_timeout write_timeout pool_timeout    Timeouts
//	conn_max_idle_time conn_max_lifetime                    IdleTime, Lifetime
//	pool_size min_idle_conns max_active_conns               numbers of connections
//	batch_above retries protocol db                         numbers
//	client_name library_name prefix                         texts
//	password_file sentinel_username sentinel_password_file  credentials
//	ca_file cert_file key_file server_name skip_verify      TLS
//	sentinel_ca_file sentinel_plain                         TLS of the sentinels
//
// All mistakes are reported at once, as joined [*OptionError]. An error never
// contains the URL or a part of it, because in a wrong URL the password may be
// anywhere. An unknown parameter, or one that is given twice or is empty, is a
// mistake. Parse does not apply defaults and does not dial; it reads the
// password files that the URL names. Use it to change a field that no option
// has; [Open] calls it.
func Parse(rawURL string) (Config, error) {
	m := &setting.Check{Package: "connect"}
	c := parse(rawURL, m)
	if err := m.Err(); err != nil {
		return Config{}, err
	}
	checked := c
	checked.validate(m)
	if err := m.Err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// schemes maps what stands before :// to the topology and the transport.
var schemes = map[string]struct {
	mode Mode
	tls  bool
	unix bool
}{
	"redis": {}, "rediss": {tls: true},
	"redis+unix": {unix: true}, "unix": {unix: true}, "redis-socket": {unix: true},
	"redis+sentinel": {mode: Sentinel}, "rediss+sentinel": {mode: Sentinel, tls: true}, "redis-sentinel": {mode: Sentinel},
	"redis+cluster": {mode: Cluster}, "rediss+cluster": {mode: Cluster, tls: true},
	"embedded": {mode: Embedded},
}

// parse splits a URL by hand, because net/url puts a wrong URL, and with it the
// password, into its error, and rejects lists of IPv6 hosts.
func parse(raw string, m *setting.Check) (c Config) {
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		m.Fail("url", "contains white space or a control character")
		return c
	}
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		if raw == "" || strings.ContainsAny(raw, "@/?#") {
			m.Fail("scheme", "is missing: redis://, rediss://, redis+unix://, redis+sentinel://, redis+cluster:// or embedded://")
			return c
		}
		scheme, rest = "redis", raw
	}
	kind, ok := schemes[strings.ToLower(scheme)]
	if !ok {
		m.Fail("scheme", "is unknown: use redis://, rediss://, redis+unix://, redis[s]+sentinel://, redis[s]+cluster:// or embedded://")
		return c
	}
	c.Mode, c.UseTLS = kind.mode, kind.tls
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if strings.ContainsAny(tail, "@#") {
		m.Fail("userinfo", "an @ or # after the host: percent-encode / ? # @ in user, password and parameters (%2F %3F %23 %40)")
		return c
	}
	path, query, _ := strings.Cut(tail, "?")
	hosts := c.userinfo(authority, m)
	inURL := c.Password != ""
	master := c.parameters(query, m)
	m.That(!inURL || c.PasswordFile == "", "password_file", "is given beside a password before the host: which one holds?")
	path, err := url.PathUnescape(path)
	m.That(err == nil, "path", "is not percent-encoded")
	if kind.unix {
		c.placeSocket(hosts, path, m)
		return c
	}
	if c.Mode == Sentinel {
		path = c.placeMaster(path, master)
	}
	c.placeHosts(hosts, m)
	c.placeDB(strings.Trim(path, "/"), m)
	return c
}

// userinfo reads user:password@ and returns the rest, the hosts.
func (c *Config) userinfo(authority string, m *setting.Check) string {
	i := strings.LastIndexByte(authority, '@')
	if i < 0 {
		return authority
	}
	user, password, _ := strings.Cut(authority[:i], ":")
	var err1, err2 error
	c.Username, err1 = url.PathUnescape(user)
	password, err2 = url.PathUnescape(password)
	c.Password = Secret(password)
	m.That(err1 == nil && err2 == nil, "userinfo", "a % is not followed by two hexadecimal digits; encode it as %25")
	return authority[i+1:]
}

// placeSocket reads the path of a unix socket.
func (c *Config) placeSocket(hosts, path string, m *setting.Check) {
	m.That(hosts == "", "host", "a unix socket has none: redis+unix:///path.sock")
	m.That(len(path) > 1, "path", "of the socket is missing: redis+unix:///path.sock")
	c.Socket = path
}

// placeMaster reads the master's name, which is the first part of the path
// unless a parameter holds it, and returns the rest.
func (c *Config) placeMaster(path, fromQuery string) (rest string) {
	rest = strings.Trim(path, "/")
	if c.Master = fromQuery; c.Master == "" {
		c.Master, rest, _ = strings.Cut(rest, "/")
	}
	return rest
}

// placeHosts reads the list of hosts.
func (c *Config) placeHosts(hosts string, m *setting.Check) {
	port := "6379"
	if c.Mode == Sentinel {
		port = "26379"
	}
	if hosts == "" && c.Mode == Embedded {
		return
	}
	for host := range strings.SplitSeq(hosts, ",") {
		c.Addrs = append(c.Addrs, address(host, port, m))
	}
}

// placeDB reads a database number, "" for none.
func (c *Config) placeDB(number string, m *setting.Check) {
	if number == "" {
		return
	}
	m.That(c.DB == 0, "db", "is given twice, in the path and as a parameter")
	var err error
	c.DB, err = strconv.Atoi(number)
	m.That(err == nil && c.DB >= 0, "db", "the path is not a database number")
}

// address returns host:port for one host of a list, with the given port as default.
// It splits the host by hand, as net/url rejects lists with IPv6 addresses.
func address(host, port string, m *setting.Check) string {
	switch {
	case strings.HasPrefix(host, "["):
		i := strings.IndexByte(host, ']')
		if i < 0 || net.ParseIP(zoneless(host[1:i])) == nil {
			m.Fail("host", "an address in brackets is not IPv6")
			return ""
		}
		if host[i+1:] != "" {
			if !strings.HasPrefix(host[i+1:], ":") {
				m.Fail("host", "something other than a port follows an IPv6 address")
				return ""
			}
			port = host[i+2:]
		}
		host = host[1:i]
	case strings.Count(host, ":") > 1:
		m.Fail("host", "an IPv6 address needs brackets")
		return ""
	case strings.Contains(host, ":"):
		host, port, _ = strings.Cut(host, ":")
	}
	m.That(host != "", "host", "is missing")
	n, err := strconv.Atoi(port)
	m.That(err == nil && n >= 1 && n <= 65535, "port", "is not a number from 1 to 65535")
	return net.JoinHostPort(host, port)
}

// zoneless returns an IPv6 address without its zone, which net.ParseIP rejects.
func zoneless(ip string) string {
	ip, _, _ = strings.Cut(ip, "%")
	return ip
}
