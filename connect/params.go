package connect

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redishttp/redishttp/internal/setting"
)

// setters apply one URL parameter each. They return what is wrong with the value,
// or "". None of them repeats the value, which may be a secret.
var setters = map[string]func(*Config, string) string{
	"dial_timeout":       duration(func(c *Config) *time.Duration { return &c.Timeouts.Dial }),
	"read_timeout":       duration(func(c *Config) *time.Duration { return &c.Timeouts.Read }),
	"write_timeout":      duration(func(c *Config) *time.Duration { return &c.Timeouts.Write }),
	"pool_timeout":       duration(func(c *Config) *time.Duration { return &c.Timeouts.Pool }),
	"conn_max_idle_time": duration(func(c *Config) *time.Duration { return &c.IdleTime }),
	"conn_max_lifetime":  duration(func(c *Config) *time.Duration { return &c.Lifetime }),

	"pool_size":        number(func(c *Config) *int { return &c.PoolSize }),
	"min_idle_conns":   number(func(c *Config) *int { return &c.MinIdle }),
	"max_active_conns": number(func(c *Config) *int { return &c.MaxActive }),
	"batch_above":      number(func(c *Config) *int { return &c.BatchAbove }),
	"retries":          number(func(c *Config) *int { return &c.Retries }),
	"protocol":         number(func(c *Config) *int { return &c.Protocol }),
	"db":               number(func(c *Config) *int { return &c.DB }),

	"client_name":       text(func(c *Config) *string { return &c.ClientName }),
	"library_name":      text(func(c *Config) *string { return &c.LibraryName }),
	"prefix":            text(func(c *Config) *string { return &c.Prefix }),
	"sentinel_username": text(func(c *Config) *string { return &c.SentinelUsername }),
	"sentinel_ca_file":  text(func(c *Config) *string { return &c.SentinelCAFile }),
	"ca_file":           text(func(c *Config) *string { return &c.CAFile }),
	"cert_file":         text(func(c *Config) *string { return &c.CertFile }),
	"key_file":          text(func(c *Config) *string { return &c.KeyFile }),
	"server_name":       text(func(c *Config) *string { return &c.ServerName }),

	"skip_verify":    truth(func(c *Config) *bool { return &c.SkipVerify }),
	"sentinel_plain": truth(func(c *Config) *bool { return &c.SentinelPlain }),

	"password_file":          secretFile(func(c *Config) (*Secret, *string) { return &c.Password, &c.PasswordFile }),
	"sentinel_password_file": secretFile(func(c *Config) (*Secret, *string) { return &c.SentinelPassword, &c.SentinelPasswordFile }),
}

// inQuery is the mistake of a password among the parameters.
const inQuery = "does not belong in the query, which ends up in logs: put it before the host or in a file named by %s_file"

// parameters applies the query. It returns the master's name if the query holds
// it, as Lettuce's URLs do; otherwise the path does.
func (c *Config) parameters(query string, m *setting.Check) (master string) {
	if query == "" {
		return ""
	}
	seen := map[string]bool{}
	for i, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(value)
		set, known := setters[name]
		switch {
		case name == "password" || name == "sentinel_password":
			m.Fail(name, inQuery, name)
		case name == "sentinelMasterId" && c.Mode == Sentinel:
			master = value
		case !known:
			// The name itself is not repeated: in a URL with an unescaped
			// ? in the password it is a part of that.
			hint := ""
			if n := suggest(name, slices.Sorted(maps.Keys(setters))); n != "" {
				hint = ": did you mean " + n + "?"
			}
			m.Fail("query", "parameter number %d is unknown%s", i+1, hint)
		case seen[name]:
			m.Fail(name, "is given twice")
		case err != nil:
			m.Fail(name, "is not percent-encoded")
		default:
			if reason := set(c, value); reason != "" {
				m.Fail(name, "%s", reason)
			}
		}
		seen[name] = true
	}
	return master
}

// duration accepts 500ms as well as a bare number of seconds, as redis-py does.
func duration(field func(*Config) *time.Duration) func(*Config, string) string {
	return func(c *Config, v string) string {
		if seconds, err := strconv.Atoi(v); err == nil && seconds >= 0 && seconds < 1e6 {
			*field(c) = time.Duration(seconds) * time.Second
			return ""
		}
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return "is not a duration like 500ms or a number of seconds"
		}
		*field(c) = d
		return ""
	}
}

// number accepts any whole number; validate rejects those that are out of
// range.
func number(field func(*Config) *int) func(*Config, string) string {
	return func(c *Config, v string) string {
		n, err := strconv.Atoi(v)
		if err != nil {
			return "is not a number"
		}
		*field(c) = n
		return ""
	}
}

// text rejects an empty value, which is most likely a variable that was not set.
func text(field func(*Config) *string) func(*Config, string) string {
	return func(c *Config, v string) string {
		if v == "" {
			return "is empty"
		}
		*field(c) = v
		return ""
	}
}

// truth accepts what [strconv.ParseBool] does.
func truth(field func(*Config) *bool) func(*Config, string) string {
	return func(c *Config, v string) string {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return "is not true or false"
		}
		*field(c) = b
		return ""
	}
}

// secretFile reads a secret and keeps the file's name, to read it again later.
func secretFile(field func(*Config) (*Secret, *string)) func(*Config, string) string {
	return func(c *Config, name string) string {
		secret, err := readSecret(name)
		if err != nil {
			return "the file cannot be read"
		}
		to, file := field(c)
		*to, *file = secret, name
		return ""
	}
}
