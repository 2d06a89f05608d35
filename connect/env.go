package connect

import (
	"os"
	"slices"
	"strings"

	"github.com/redishttp/redishttp/internal/setting"
)

// suffixes maps the ends of REDIS_<NAME>_… variables that override the URL to
// what applies them. Like setters they return what is wrong, "" if nothing.
var suffixes = map[string]func(*Config, string) string{
	"USERNAME":      text(func(c *Config) *string { return &c.Username }),
	"PASSWORD":      func(c *Config, v string) string { c.Password, c.PasswordFile = Secret(v), ""; return "" },
	"PASSWORD_FILE": secretFile(func(c *Config) (*Secret, *string) { return &c.Password, &c.PasswordFile }),
	"CA_FILE":       text(func(c *Config) *string { return &c.CAFile }),
	"CERT_FILE":     text(func(c *Config) *string { return &c.CertFile }),
	"KEY_FILE":      text(func(c *Config) *string { return &c.KeyFile }),
	"POOL_SIZE":     number(func(c *Config) *int { return &c.PoolSize }),
	"PREFIX":        text(func(c *Config) *string { return &c.Prefix }),
}

// FromEnv makes a Set from the environment, for a prefix like "REDIS":
//
//	REDIS_URL               connection "default"
//	REDIS_<NAME>_URL        connection "<name>", in lower case
//	REDIS_<NAME>_PASSWORD, _PASSWORD_FILE, _USERNAME, _CA_FILE, _CERT_FILE,
//	_KEY_FILE, _POOL_SIZE, _PREFIX   override the URL's; without <NAME>_ those of "default"
//	REDIS_ALIASES           sessions=default,locks=default
//
// An empty variable counts as unset. At least one _URL must be set. A variable
// of a named connection (one with a _URL) whose suffix is unknown is a mistake,
// because it is most likely mistyped. So is one of "default" that is within two
// letters of a known one, and one of "default" without a REDIS_URL. Others,
// such as a container image's REDIS_VERSION, are ignored.
//
// All mistakes are reported at once, as joined [*OptionError]. The options are
// defaults for all connections. It does not dial, as [Open] does not. Use it
// for programs that are configured by their environment (twelve-factor), with
// aliases for the roles that the code asks for.
func FromEnv(prefix string, opts ...Option) (*Set, error) {
	return fromEnv(prefix, os.Environ(), opts)
}

// environment holds the variables of one prefix.
type environment struct {
	prefix string
	vars   map[string]string // without the prefix
	names  []string          // of the connections, in upper case with "_" behind; "" is "default"
	check  *setting.Check
}

// fromEnv is FromEnv with the environment as an argument.
func fromEnv(prefix string, environ []string, opts []Option) (*Set, error) {
	env := readEnv(prefix, environ)
	set := NewSet(opts...)
	for _, name := range env.names {
		env.addTo(set, name)
	}
	for _, pair := range strings.FieldsFunc(env.vars["ALIASES"], func(r rune) bool { return r == ',' || r == ' ' }) {
		role, name, ok := strings.Cut(pair, "=")
		if !ok {
			env.check.Fail(prefix+"_ALIASES", "is not a list like sessions=default,locks=default")
			continue
		}
		env.check.Join(set.Alias(role, name))
	}
	if err := env.check.Err(); err != nil {
		return nil, err
	}
	return set, nil
}

// readEnv collects the variables and the names of the connections in them. An
// empty variable counts as unset: deployment tools often cannot unset one.
func readEnv(prefix string, environ []string) *environment {
	env := &environment{prefix: prefix, vars: map[string]string{}, check: &setting.Check{Package: "connect"}}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, prefix+"_") && value != "" {
			env.vars[strings.TrimPrefix(name, prefix+"_")] = value
		}
	}
	for v := range env.vars {
		if v == "URL" {
			env.names = append(env.names, "")
		} else if name, ok := strings.CutSuffix(v, "_URL"); ok && name != "" {
			env.names = append(env.names, name+"_")
		}
	}
	env.check.That(len(env.names) > 0, prefix+"_URL", "is not set")
	slices.Sort(env.names)
	if len(env.names) > 0 && env.names[0] != "" {
		for _, suffix := range sortedKeys(suffixes) {
			_, given := env.vars[suffix]
			env.check.That(!given, prefix+"_"+suffix, "is for the connection default, but %s_URL is not set", prefix)
		}
	}
	return env
}

// addTo adds the connection whose variables begin with name to the set.
func (env *environment) addTo(set *Set, name string) {
	conn := strings.ToLower(strings.TrimSuffix(name, "_"))
	if conn == "" {
		conn = defaultName
	}
	variable := func(suffix string) string { return env.prefix + "_" + name + suffix }
	own := &setting.Check{Package: "connect", Instance: conn}
	config := parse(env.vars[name+"URL"], own)
	own.That(env.vars[name+"PASSWORD"] == "" || env.vars[name+"PASSWORD_FILE"] == "", variable("PASSWORD_FILE"), "is given beside %s: which one holds?", variable("PASSWORD"))
	for _, v := range sortedKeys(env.vars) {
		suffix, ok := strings.CutPrefix(v, name)
		if !ok || suffix == "URL" || env.ofLonger(v, name) {
			continue
		}
		if apply, known := suffixes[suffix]; known {
			reason := apply(&config, env.vars[v])
			own.That(reason == "", variable(suffix), "%s", reason)
			continue
		}
		near := suggest(suffix, sortedKeys(suffixes))
		own.That(near == "", variable(suffix), "is unknown: did you mean %s?", variable(near))
		own.That(near != "" || name == "", variable(suffix), "is unknown") // of "default" it may belong to another program
	}
	if err := own.Err(); err != nil {
		env.check.Join(err)
		return
	}
	env.check.Join(set.add(conn, config, nil))
}

// ofLonger reports whether a variable belongs to a connection with a longer
// name: REDIS_EU_CACHE_PREFIX to eu_cache, not to eu.
func (env *environment) ofLonger(v, name string) bool {
	return slices.ContainsFunc(env.names, func(other string) bool {
		return len(other) > len(name) && strings.HasPrefix(v, other)
	})
}

// sortedKeys returns the keys of a map in order, so that mistakes are reported
// in the same order each time.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
