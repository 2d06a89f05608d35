package connect

import (
	"context"
	"crypto/tls"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/redis/go-redis/v9/push"

	"github.com/redishttp/redishttp/internal/setting"
)

type anyCredentials struct {
	auth.StreamingCredentialsProvider
}

type anyProcessor struct{ push.NotificationProcessor }

type anyLimiter struct{ redis.Limiter }

type anyCache struct{ redis.Cache }

// another is a value of a field of redis.Options that differs from ours. A new
// kind of field in go-redis fails the test until it stands here.
func another(t *testing.T, field reflect.StructField) reflect.Value {
	t.Helper()
	switch field.Type.Kind() {
	case reflect.String:
		return reflect.ValueOf("another:1")
	case reflect.Bool:
		return reflect.ValueOf(field.Name != "ContextTimeoutEnabled" && field.Name != "DisableIdentity")
	case reflect.Int:
		n := 7
		if field.Name == "Protocol" {
			n = 2
		}
		return reflect.ValueOf(n).Convert(field.Type)
	case reflect.Int64, reflect.Uint8:
		return reflect.ValueOf(7).Convert(field.Type)
	case reflect.Func:
		return reflect.MakeFunc(field.Type, func([]reflect.Value) []reflect.Value { panic("is not called") })
	}
	for _, v := range []any{
		&tls.Config{ServerName: "another"}, &redis.AutoPipelineOptions{MaxBatchSize: 7}, &redis.CacheConfig{},
		&maintnotifications.Config{Mode: maintnotifications.ModeAuto},
		anyCredentials{},
		anyProcessor{},
		anyLimiter{},
		anyCache{},
	} {
		if reflect.TypeOf(v).AssignableTo(field.Type) {
			return reflect.ValueOf(v)
		}
	}
	t.Fatalf("go-redis has a new kind of option: %s %s", field.Name, field.Type)
	return reflect.Value{}
}

// Every option of go-redis reaches every topology, or is refused by name.
func TestEveryGoRedisOptionIsCarriedOrRejected(t *testing.T) {
	refused := map[string]string{
		"standalone": "FailingTimeoutSeconds",
		"cluster":    "",
		"sentinel": "Network Addr NodeAddress Limiter MaintNotificationsConfig FailingTimeoutSeconds ClientSideCacheConfig ClientSideCache " +
			"ClientSideCacheStrategy ClientSideCacheRefreshOnInvalidate ClientSideCacheCoalesceMisses ClientSideCacheInvalidationBatchWindow",
	}
	for name, url := range map[string]string{"standalone": "redis://h", "cluster": "redis+cluster://h", "sentinel": "redis+sentinel://h/m"} {
		for field := range reflect.TypeFor[redis.Options]().Fields() {
			if !field.IsExported() {
				continue
			}
			t.Run(name+"/"+field.Name, func(t *testing.T) {
				want := another(t, field)
				config, err := Parse(url)
				if err != nil {
					t.Fatal(err)
				}
				s, m := prepared(config, []Option{WithGoRedis(func(o *redis.Options) { reflect.ValueOf(o).Elem().FieldByName(field.Name).Set(want) })})
				if no := strings.Contains(" "+refused[name]+" ", " "+field.Name+" "); no || m.Err() != nil {
					if err := m.Err(); err == nil || !no || !strings.Contains(err.Error(), "WithGoRedis: "+field.Name) {
						t.Errorf("got %v, want it refused: %v", err, no)
					}
					return
				}
				for what, got := range s.reach(field.Name) {
					if equal := reflect.DeepEqual(got.Interface(), want.Interface()); field.Type.Kind() == reflect.Func && got.IsNil() || field.Type.Kind() != reflect.Func && !equal {
						t.Errorf("%s: got %v, want %v", what, got, want)
					}
				}
			})
		}
	}
}

// reach is the option where the topology's clients take it from.
func (s *settings) reach(field string) map[string]reflect.Value {
	of := func(o any) reflect.Value { return reflect.ValueOf(o).Elem().FieldByName(field) }
	all := map[string]reflect.Value{}
	switch s.Mode {
	case Cluster:
		all["a node"] = of(s.nodeOptions("n:1"))
		if v := of(s.clusterOptions()); v.IsValid() {
			all["the cluster"] = v
		}
	case Sentinel:
		switch field {
		case "TLSConfig": // our dialer speaks it
			all["the dialer"] = reflect.ValueOf(s.node.TLSConfig)
		case "Dialer":
			all["the dialer"] = reflect.ValueOf(s.node.Dialer)
		default:
			all["the sentinels' client"] = of(s.failoverOptions(nil))
		}
	default:
		all["the client"] = of(s.nodeOptions(""))
	}
	return all
}

// prepared is what Open and New check, for a connection c.
func prepared(config Config, opts []Option) (*settings, *setting.Check) {
	s := record(append(opts, WithName("c")))
	s.Config = config
	m := s.check()
	s.prepare(m)
	return s, m
}

// The options that we make for a node are those that go-redis would.
func TestOurNodeOptionsAreThoseOfGoRedis(t *testing.T) {
	config, err := Parse("redis+cluster://app:secret@h?pool_size=7&retries=2&protocol=2&min_idle_conns=0")
	if err != nil {
		t.Fatal(err)
	}
	s, m := prepared(config, nil)
	if err := m.Err(); err != nil {
		t.Fatal(err)
	}
	o := s.clusterOptions()
	ours := o.NewClient
	compared := make(chan []string, 1)
	o.NewClient = func(theirs *redis.Options) *redis.Client {
		// A client fills in the defaults.
		a, b := redis.NewClient(theirs), ours(theirs)
		defer a.Close()
		var differ []string
		for name := range difference(a.Options(), b.Options()) {
			differ = append(differ, name)
		}
		select {
		case compared <- differ:
		default:
		}
		return b
	}
	o.Dialer = func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
	rdb := redis.NewClusterClient(o)
	defer rdb.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_ = rdb.Ping(ctx).Err()
	for _, name := range <-compared {
		// Their Dialer is this test's, and their pause that of the cluster's redirects.
		if name != "Dialer" && name != "MinRetryBackoff" {
			t.Errorf("%s differs", name)
		}
	}
}

// What WithGoRedis says of credentials holds over what the options say.
func TestTheLastWordOnCredentials(t *testing.T) {
	ask := func(context.Context) (string, string, error) { return "asked", "x", nil }
	for name, change := range map[string]func(*redis.Options){
		"password": func(o *redis.Options) { o.Username, o.Password = "last", "word" },
		"provider": func(o *redis.Options) { o.CredentialsProvider = func() (string, string) { return "last", "word" } },
		"context": func(o *redis.Options) {
			o.CredentialsProviderContext = func(context.Context) (string, string, error) { return "last", "word", nil }
		},
	} {
		for by, opt := range map[string]Option{"credentials": WithCredentials(ask), "streaming": WithStreamingCredentials(anyCredentials{})} {
			s, m := prepared(Config{Addrs: []string{"h:1"}}, []Option{opt, WithGoRedis(change)})
			o := s.node
			user := o.Username
			if o.CredentialsProvider != nil {
				user, _ = o.CredentialsProvider()
			}
			if o.CredentialsProviderContext != nil {
				user, _, _ = o.CredentialsProviderContext(t.Context())
			}
			if m.Err() != nil || o.StreamingCredentialsProvider != nil || user != "last" {
				t.Errorf("%s over %s: got %q, %v, streaming %v", name, by, user, m.Err(), o.StreamingCredentialsProvider)
			}
		}
	}
}

// Every parameter of the URL reaches the clients of every topology.
func TestEveryParameterReachesEveryTopology(t *testing.T) {
	want := map[string]struct {
		parameter string
		value     any
	}{
		"DialTimeout": {"dial_timeout=11s", 11 * time.Second}, "ReadTimeout": {"read_timeout=12s", 12 * time.Second},
		"WriteTimeout": {"write_timeout=13s", 13 * time.Second}, "PoolTimeout": {"pool_timeout=14s", 14 * time.Second},
		"ConnMaxIdleTime": {"conn_max_idle_time=15s", 15 * time.Second}, "ConnMaxLifetime": {"conn_max_lifetime=16s", 16 * time.Second},
		"PoolSize": {"pool_size=17", 17}, "MinIdleConns": {"min_idle_conns=3", 3}, "MaxActiveConns": {"max_active_conns=18", 18},
		"MaxRetries": {"retries=4", 4}, "Protocol": {"protocol=2", 2}, "ClientName": {"client_name=x", "x"},
		"Username": {"", "app"}, "Password": {"", "secret"}, "DB": {"", 9},
		"ContextTimeoutEnabled": {"", true}, "DialerRetries": {"", 1},
	}
	query := ""
	for _, w := range want {
		if w.parameter != "" {
			query += "&" + w.parameter
		}
	}
	for name, url := range map[string]string{
		"standalone": "redis://app:secret@h/9", "unix": "unix://app:secret@/sock", "cluster": "redis+cluster://app:secret@h/9", "sentinel": "redis+sentinel://app:secret@h/m/9",
	} {
		extra := ""
		if name == "unix" {
			extra = "&db=9"
		}
		config, err := Parse(url + "?" + query[1:] + extra)
		if err != nil {
			t.Fatal(err)
		}
		s, m := prepared(config, nil)
		if err := m.Err(); err != nil {
			t.Fatal(err)
		}
		for field, w := range want {
			for what, got := range s.reach(field) {
				if got.Interface() != w.value {
					t.Errorf("%s, %s of %s: got %v, want %v", name, field, what, got, w.value)
				}
			}
		}
	}
}
