package serverinfo_test

import (
	"strings"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/serverinfo"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func fields(info string) map[string]string {
	f := map[string]string{}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		f[name] = value
	}
	return f
}

func TestOf(t *testing.T) {
	for name, c := range map[string]struct{ info, want string }{
		"Redis 7.0":                   {"redis_version:7.0.15\nredis_mode:standalone\ngcc_version:12.2.0", "Redis 7.0.15"},
		"Redis 8.0":                   {"redis_version:8.0.6\nredis_mode:standalone\nlistener0:name=tcp,port=1", "Redis 8.0.6"},
		"Valkey 8.0":                  {"redis_version:7.2.4\nserver_name:valkey\nvalkey_version:8.0.1\nserver_mode:standalone", "Valkey 8.0.1"},
		"Valkey 9.1":                  {"redis_version:7.2.4\nserver_name:valkey\nvalkey_version:9.1.2\nserver_mode:cluster", "Valkey 9.1.2"},
		"a name without a version":    {"redis_version:7.2.4\nserver_name:other", "Redis 7.2.4"},
		"a version without a name":    {"redis_version:7.2.4\nvalkey_version:9.1.2", "Redis 7.2.4"},
		"an empty name":               {"redis_version:7.2.4\nserver_name:", "Redis 7.2.4"},
		"a reply without the section": {"used_memory:1", ""},
		"no reply":                    {"", ""},
	} {
		if got := serverinfo.Of(fields(c.info)).String(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// What a server says in INFO is what its program says of itself.
func TestOfARealServer(t *testing.T) {
	info, err := redistest.NewServer(t).Client(t).Info(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := serverinfo.Of(fields(info)).String(), redistest.Version(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
