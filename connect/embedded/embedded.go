// Package embedded runs a Redis inside the process, for development and
// demonstrations: nothing to install, gone when the process ends. It is
// miniredis on a loopback port, with a random password and a clock that makes
// keys expire.
//
//	conn, err := connect.Open("embedded://", embedded.Option())
//
// It is not for production: one lock serves all commands, there is no
// persistence, no replication and no eviction, and other instances of a
// service do not see it. It logs one warning when it starts, and
// [WithProduction] makes it refuse to.
//
// It knows what the middlewares use: strings, hashes, sorted sets, expiry,
// scripts of integers, publish and subscribe. INFO has few sections; CONFIG,
// OBJECT and client tracking are missing.
package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/redishttp/redishttp/connect"
)

const (
	tick = 50 * time.Millisecond
	// defaultMaxKeys bounds a server without eviction. Each tick walks all
	// keys with a TTL under the server's lock: 3.6 ms at ten thousand keys.
	defaultMaxKeys = 50_000
)

// Server is a Redis in this process.
type Server struct {
	mini     *miniredis.Miniredis
	password string
	maxKeys  int
	logger   *slog.Logger

	stop    chan struct{}
	stopped sync.WaitGroup
	once    sync.Once
}

var _ connect.EmbeddedServer = (*Server)(nil)

// A ServerOption changes a default of [Start].
type ServerOption interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	logger     *slog.Logger
	production bool
	maxKeys    int
}

// WithLogger sets where the warning goes. The default discards it.
func WithLogger(l *slog.Logger) ServerOption { return optionFunc(func(c *config) { c.logger = l }) }

// WithProduction sets whether this is production, where Start fails. The default
// is false. Pass what tells your production from development.
func WithProduction(production bool) ServerOption {
	return optionFunc(func(c *config) { c.production = production })
}

// WithMaxKeys bounds the number of keys: when there are more, the server
// empties itself, as a cache that was flushed. The default is 50,000.
func WithMaxKeys(n int) ServerOption { return optionFunc(func(c *config) { c.maxKeys = n }) }

// ErrProduction is Start with [WithProduction](true).
var ErrProduction = errors.New("embedded: a development server was started in production; set a redis URL")

// Option lets [connect.Open] start a server for embedded://.
func Option(opts ...ServerOption) connect.Option {
	return connect.WithEmbedded(func() (connect.EmbeddedServer, error) { return Start(opts...) })
}

// Start starts a server on a free loopback port. It runs two goroutines until
// Close.
func Start(opts ...ServerOption) (*Server, error) {
	c := config{logger: slog.New(slog.DiscardHandler), maxKeys: defaultMaxKeys}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c)
		}
	}
	switch {
	case c.production:
		return nil, ErrProduction
	case c.logger == nil:
		return nil, errors.New("embedded: WithLogger: is nil")
	case c.maxKeys < 1:
		return nil, fmt.Errorf("embedded: WithMaxKeys: %d is not above 0", c.maxKeys)
	}
	s := &Server{mini: miniredis.NewMiniRedis(), password: rand.Text(), maxKeys: c.maxKeys, logger: c.logger, stop: make(chan struct{})}
	s.mini.RequireAuth(s.password)
	if err := s.mini.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("embedded: start: %w", err)
	}
	s.mini.Server().SetPreHook(replication(strings.ToLower(rand.Text())))
	s.logger.Warn("embedded redis: for development only, data is lost when the process ends", slog.String("addr", s.Addr()))
	s.stopped.Go(s.clock)
	return s, nil
}

// replication answers INFO replication, which miniredis does not know, as a master
// without replicas does: package cache tells by the ID when another server has
// taken over.
func replication(id string) server.Hook {
	section := "# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_replid:" + id + "\r\n"
	return func(c *server.Peer, cmd string, args ...string) bool {
		if cmd != "INFO" || len(args) != 1 || !strings.EqualFold(args[0], "replication") {
			return false
		}
		c.WriteBulk(section)
		return true
	}
}

// clock lets keys expire: miniredis' own clock would walk all keys at every
// command. Elapsed time is measured, for ticks are late on a busy machine.
func (s *Server) clock() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for last := time.Now(); ; {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			now := time.Now()
			s.mini.FastForward(now.Sub(last))
			last = now
			if n := len(s.mini.Keys()); n > s.maxKeys {
				s.mini.FlushAll()
				s.logger.Warn("embedded redis: too many keys, emptied", slog.Int("keys", n))
			}
		}
	}
}

// Addr is host:port on loopback.
func (s *Server) Addr() string { return s.mini.Addr() }

// Password is that of the default user.
func (s *Server) Password() string { return s.password }

// URL is for other clients. It contains the password.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", s.password), Host: s.Addr(), Path: "/0"}
	return u.String()
}

// String names the server without its password.
func (s *Server) String() string { return "embedded redis at " + s.Addr() }

// Close stops the server and its goroutines. It is idempotent.
func (s *Server) Close() error {
	s.once.Do(func() {
		close(s.stop)
		s.stopped.Wait()
		s.mini.Close()
	})
	return nil
}
