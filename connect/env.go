package connect

import (
	"os"
	"slices"
	"strings"
)

// suffixes of REDIS_<NAME>_… that override the URL.
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
// A variable of a named connection (one with a _URL) whose suffix is unknown is a
// mistake: it is most likely mistyped. So are one of "default" that is within two
// letters of a known one, and one of "default" without a REDIS_URL. Others, like a
// container image's REDIS_VERSION, are left alone. All mistakes are reported at once.
func FromEnv(prefix string, opts ...Option) (*Set, error) {
	return fromEnv(prefix, os.Environ(), opts)
}

func fromEnv(prefix string, environ []string, opts []Option) (*Set, error) {
	m := &mistakes{}
	vars := map[string]string{}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, prefix+"_") && value != "" {
			vars[strings.TrimPrefix(name, prefix+"_")] = value
		}
	}
	set := NewSet(opts...)
	var names []string
	for v := range vars {
		if v == "URL" {
			names = append(names, "")
		} else if name, ok := strings.CutSuffix(v, "_URL"); ok && name != "" {
			names = append(names, name+"_")
		}
	}
	m.check(len(names) > 0, prefix+"_URL", "is not set")
	slices.Sort(names)
	if len(names) > 0 && names[0] != "" {
		for _, suffix := range sortedKeys(suffixes) {
			_, given := vars[suffix]
			m.check(!given, prefix+"_"+suffix, "is for the connection default, but %s_URL is not set", prefix)
		}
	}
	for _, name := range names {
		set.addFromEnv(prefix, name, names, vars, m)
	}
	for _, pair := range strings.FieldsFunc(vars["ALIASES"], func(r rune) bool { return r == ',' || r == ' ' }) {
		role, name, ok := strings.Cut(pair, "=")
		if !ok {
			m.add(prefix+"_ALIASES", "is not a list like sessions=default,locks=default")
			continue
		}
		if err := set.Alias(role, name); err != nil {
			m.errs = append(m.errs, err)
		}
	}
	if err := m.err(); err != nil {
		return nil, err
	}
	return set, nil
}

// addFromEnv adds the connection whose variables begin with name (in upper
// case with its underscore, or nothing for "default").
func (s *Set) addFromEnv(prefix, name string, names []string, vars map[string]string, m *mistakes) {
	conn := strings.ToLower(strings.TrimSuffix(name, "_"))
	if conn == "" {
		conn = "default"
	}
	own := &mistakes{conn: conn}
	config := parse(vars[name+"URL"], own)
	own.check(vars[name+"PASSWORD"] == "" || vars[name+"PASSWORD_FILE"] == "", prefix+"_"+name+"PASSWORD_FILE", "is given beside %s_%sPASSWORD: which one holds?", prefix, name)
	for _, v := range sortedKeys(vars) {
		suffix, ok := strings.CutPrefix(v, name)
		if !ok || suffix == "URL" || ownedByLonger(v, name, names) {
			continue
		}
		set, known := suffixes[suffix]
		switch {
		case known:
			if reason := set(&config, vars[v]); reason != "" {
				own.add(prefix+"_"+v, "%s", reason)
			}
		default:
			n := near(suffix, sortedKeys(suffixes))
			switch {
			case n != "":
				own.add(prefix+"_"+v, "is unknown: did you mean %s_%s%s?", prefix, name, n)
			case name != "": // of "default" it may belong to something else
				own.add(prefix+"_"+v, "is unknown")
			}
		}
	}
	if err := own.err(); err != nil {
		m.errs = append(m.errs, err)
		return
	}
	if err := s.add(conn, config); err != nil {
		m.errs = append(m.errs, err)
	}
}

// ownedByLonger reports whether a variable belongs to a connection with a
// longer name: REDIS_EU_CACHE_PREFIX to eu_cache, not to eu.
func ownedByLonger(v, name string, names []string) bool {
	return slices.ContainsFunc(names, func(other string) bool {
		return len(other) > len(name) && strings.HasPrefix(v, other)
	})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
