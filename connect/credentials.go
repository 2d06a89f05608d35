package connect

import (
	"context"
	"os"
	"strings"
	"sync/atomic"

	"github.com/redishttp/redishttp/internal/setting"
)

// checkCredentials refuses those that would not be used.
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

// readSecret reads a secret; one trailing newline, which editors add, is not
// part of it.
func readSecret(name string) (Secret, error) {
	b, err := os.ReadFile(name)
	return Secret(strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")), err
}

// credentials are asked for at each new connection when they can change: by
// the user's provider, or by reading the password file again. nil is for those
// that stay.
func (s *settings) credentials() func(context.Context) (string, string, error) {
	if s.Credentials != nil || s.PasswordFile == "" {
		return s.Credentials
	}
	user, file := s.Username, s.PasswordFile
	var known atomic.Value
	known.Store(s.Password)
	return func(context.Context) (string, string, error) {
		secret, err := readSecret(file)
		if err != nil { // being replaced just now, or gone: what worked may still work
			secret, _ = known.Load().(Secret)
		}
		known.Store(secret)
		return user, string(secret), nil
	}
}
