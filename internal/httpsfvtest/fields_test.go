package httpsfvtest

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// parameters of the draft, and whether they are integers.
var parameters = map[string]map[string]bool{
	"RateLimit-Policy": {"q": true, "qu": false, "w": true, "pk": false, "rl-burst": true},
	"RateLimit":        {"r": true, "t": true, "pk": false},
}

var name = regexp.MustCompile(`^[A-Za-z0-9._:*/-]{1,64}$`)

// Both fields are Lists of Items whose value is a String, with integer
// parameters in range; what the parser writes is what we wrote.
func TestFieldsAreStructured(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	limits := [][]ratelimit.Limit{
		{{Limit: redis_rate.PerMinute(100)}},
		{{Limit: redis_rate.Limit{Rate: 5, Burst: 20, Period: 500 * time.Millisecond}, Name: "a:b/c*d.e-f_g"}},
		{{Limit: redis_rate.PerSecond(10), Name: "burst"}, ratelimit.Window(3, time.Minute), ratelimit.Concurrency(2), {Limit: redis_rate.Limit{Rate: 1 << 40, Burst: 1, Period: 24 * time.Hour}}},
	}
	for _, set := range limits {
		for _, opts := range [][]ratelimit.Option{nil, {ratelimit.WithHeaders(ratelimit.Headers{PartitionKey: []byte("0123456789abcdef")})}} {
			opts = append(opts, ratelimit.WithLimits(set...), ratelimit.WithKeyPrefix(redistest.Prefix(t)))
			l, err := ratelimit.New(rdb, redis_rate.Limit{}, opts...)
			if err != nil {
				t.Fatal(err)
			}
			h := l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			for range 5 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				for field, known := range parameters {
					check(t, field, w.Header().Values(field), known, len(set))
				}
			}
		}
	}
}

func check(t *testing.T, field string, lines []string, known map[string]bool, members int) {
	t.Helper()
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil || len(list) != members {
		t.Fatalf("%s %q: %d members, %v", field, lines, len(list), err)
	}
	if text, err := httpsfv.Marshal(list); err != nil || len(lines) != 1 || text != lines[0] {
		t.Errorf("%s: the canonical form of %q is %q, %v", field, lines, text, err)
	}
	for _, m := range list {
		item, ok := m.(httpsfv.Item)
		if value, str := item.Value.(string); !ok || !str || !name.MatchString(value) {
			t.Errorf("%s: member %#v is no Item with a String", field, m)
		}
		for _, p := range item.Params.Names() {
			integer, ok := known[p]
			value, _ := item.Params.Get(p)
			n, isInteger := value.(int64)
			if !ok || integer != isInteger || integer && (n < 0 || n > 999_999_999_999_999) || p == "w" && n == 0 || p == "t" && n == 0 {
				t.Errorf("%s: parameter %s=%v", field, p, value)
			}
		}
	}
}
