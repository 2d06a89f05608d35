package connect

import (
	"context"
	"crypto/tls"
	"net"
	"reflect"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/setting"
)

// options returns a copy of the options of one node, as they are before
// [WithGoRedis]. Those of the other topologies are derived from it.
func (s *settings) options() *redis.Options {
	o := s.pristine
	if o.TLSConfig != nil {
		o.TLSConfig = o.TLSConfig.Clone() // WithGoRedis may write to it
	}
	if o.MaintNotificationsConfig != nil {
		maint := *o.MaintNotificationsConfig
		o.MaintNotificationsConfig = &maint
	}
	return &o
}

// changed applies [WithGoRedis] to o. Of several kinds of credentials go-redis
// prefers one, which may be a kind that the function did not set; therefore the
// kinds before the one it did set are removed.
func (s *settings) changed(o *redis.Options) *redis.Options {
	if s.goRedis == nil {
		return o
	}
	before := *o
	s.goRedis(o)
	differ := difference(&before, o)
	switch { // in the order of go-redis' preference
	case differ["StreamingCredentialsProvider"]:
	case differ["CredentialsProviderContext"]:
		o.StreamingCredentialsProvider = nil
	case differ["CredentialsProvider"]:
		o.StreamingCredentialsProvider, o.CredentialsProviderContext = nil, nil
	case differ["Username"], differ["Password"]:
		o.StreamingCredentialsProvider, o.CredentialsProviderContext, o.CredentialsProvider = nil, nil, nil
	}
	return o
}

// adopt applies [WithGoRedis] once, rejects what the topology cannot have, and
// copies the result into the configuration, so that [Conn.Info] tells the truth.
func (s *settings) adopt(m *setting.Check) {
	before := s.options()
	o := s.changed(s.options())
	s.node = o
	for field := range difference(before, o) {
		if reason := s.unfit(field); reason != "" {
			m.Fail("WithGoRedis", "%s %s", field, reason)
		}
	}
	if s.Mode == Standalone {
		s.Addrs, s.Socket = []string{o.Addr}, ""
		if o.Network == "unix" {
			s.Addrs, s.Socket = nil, o.Addr
		}
	}
	s.DB, s.Username, s.ClientName, s.UseTLS = o.DB, o.Username, o.ClientName, o.TLSConfig != nil
	if o.PoolSize > 0 {
		s.PoolSize = o.PoolSize
	}
	if o.DialTimeout > 0 {
		s.Timeouts.Dial = o.DialTimeout
	}
	switch s.Retries = o.MaxRetries; o.MaxRetries { // as go-redis reads it
	case -1:
		s.Retries = 0
	case 0:
		s.Retries = 3
	}
}

// unfit says why an option of a node has no effect on the topology, or returns
// "". Options that a later go-redis adds are carried or rejected by the same
// rules, never dropped.
func (s *settings) unfit(field string) string {
	_, failover := reflect.TypeFor[redis.FailoverOptions]().FieldByName(field)
	switch {
	case s.Mode != Cluster && field == "FailingTimeoutSeconds":
		return "is only for a cluster"
	case s.Mode == Sentinel && !failover:
		return "cannot be set with sentinels: go-redis has no such option for them"
	case s.Mode == Embedded && (field == "Network" || field == "Addr" || field == "TLSConfig"):
		return "cannot be set on an embedded server"
	}
	return ""
}

// difference names the exported fields in which a and b differ.
func difference(a, b *redis.Options) map[string]bool {
	differ := map[string]bool{}
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range x.NumField() {
		field := x.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		same := false
		if u, v := x.Field(i), y.Field(i); field.Type.Kind() == reflect.Func {
			same = u.Pointer() == v.Pointer()
		} else {
			same = reflect.DeepEqual(u.Interface(), v.Interface())
		}
		if !same {
			differ[field.Name] = true
		}
	}
	return differ
}

// carry copies the options of a node to those of a topology, or back, field by
// field. Both are pointers to structs.
func carry(from, to any) {
	src, dst := reflect.ValueOf(from).Elem(), reflect.ValueOf(to).Elem()
	for i := range src.NumField() {
		field := src.Type().Field(i)
		if f := dst.FieldByName(field.Name); field.IsExported() && f.IsValid() && f.Type() == field.Type {
			f.Set(src.Field(i))
		}
	}
}

// secured adds TLS to a dialer, unless t or dial is nil or the dialer returns TLS
// connections itself. go-redis leaves TLS out for every dialer that is not its
// own, and would send passwords in plain text.
func secured(dial dialFunc, t *tls.Config) dialFunc {
	if dial == nil || t == nil {
		return dial
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		plain, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if _, already := plain.(*tls.Conn); already {
			return plain, nil
		}
		config := t
		if t.ServerName == "" {
			config = t.Clone()
			config.ServerName, _, _ = net.SplitHostPort(addr)
		}
		conn := tls.Client(plain, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, err
		}
		return conn, nil
	}
}
