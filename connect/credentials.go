package connect

import (
	"context"
	"os"
	"strings"
	"sync/atomic"

	"github.com/redishttp/redishttp/internal/setting"
)

// checkCredentials rejects credentials that would not be used, or that go-redis
// would silently not send.
func (s *settings) checkCredentials(m *setting.Check) {
	m.That(s.Credentials == nil || s.PasswordFile == "", "credentials", "a provider and a password file exclude each other")
	changing := s.Credentials != nil || s.PasswordFile != "" || s.streaming != nil
	if s.Mode == Embedded {
		m.That(!changing && s.Username == "" && s.Password == "", "credentials", "an embedded server has its own")
		m.That(!s.UseTLS, "tls", "an embedded server has none")
		return
	}
	m.That(s.Username == "" || s.Username == "default" || s.Password != "" || changing, "username", "has no password, and go-redis would not log in")
	m.That(s.SentinelUsername == "" || s.SentinelUsername == "default" || s.SentinelPassword != "" || s.SentinelPasswordFile != "",
		"sentinel_username", "has no password, and go-redis would not log in")
}

// readSecrets reads the files of a Config that was not made by [Parse].
func (c *Config) readSecrets(m *setting.Check) {
	for _, f := range []struct {
		field, name string
		to          *Secret
	}{{"password_file", c.PasswordFile, &c.Password}, {"sentinel_password_file", c.SentinelPasswordFile, &c.SentinelPassword}} {
		if f.name == "" {
			continue
		}
		secret, err := readSecret(f.name)
		m.That(err == nil, f.field, "the file cannot be read")
		*f.to = secret
	}
}

// readSecret reads a file without one trailing newline, which editors add.
func readSecret(name string) (Secret, error) {
	b, err := os.ReadFile(name)
	return Secret(strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")), err
}

// credentials returns the function that go-redis calls whenever it opens a
// connection: the user's provider, or one that reads the password file again. It
// returns nil for credentials that do not change.
func (s *settings) credentials() func(context.Context) (string, string, error) {
	if s.Credentials != nil || s.PasswordFile == "" {
		return s.Credentials
	}
	user, file := s.Username, s.PasswordFile
	var known atomic.Value
	known.Store(s.Password)
	return func(context.Context) (string, string, error) {
		secret, err := readSecret(file)
		if err != nil { // the file is being replaced: the last password may still be valid
			secret, _ = known.Load().(Secret)
		}
		known.Store(secret)
		return user, string(secret), nil
	}
}
