package connect_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/connect"
)

func TestParse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		url  string
		want connect.Config
	}{
		{"localhost:6380", connect.Config{Addrs: []string{"localhost:6380"}}},
		{"redis://h", connect.Config{Addrs: []string{"h:6379"}}},
		{"redis://[::1]:7000/3", connect.Config{Addrs: []string{"[::1]:7000"}, DB: 3}},
		{"rediss://u:p%40%2F%3A@h:1/", connect.Config{Addrs: []string{"h:1"}, UseTLS: true, Username: "u", Password: "p@/:"}},
		{"redis://:only@h", connect.Config{Addrs: []string{"h:6379"}, Password: "only"}},
		{"redis+unix:///run/r.sock?db=2", connect.Config{Socket: "/run/r.sock", DB: 2}},
		{"unix://u:p@/run/r.sock", connect.Config{Socket: "/run/r.sock", Username: "u", Password: "p"}},
		{"redis+sentinel://u:p@s1,s2:7,[::2]/main/4?sentinel_username=s", connect.Config{Mode: connect.Sentinel, Addrs: []string{"s1:26379", "s2:7", "[::2]:26379"}, Master: "main", DB: 4, Username: "u", Password: "p", SentinelUsername: "s"}},
		{"redis-sentinel://s1/2?sentinelMasterId=main", connect.Config{Mode: connect.Sentinel, Addrs: []string{"s1:26379"}, Master: "main", DB: 2}},
		{"rediss+cluster://[::1]:7000,[::2]:7001", connect.Config{Mode: connect.Cluster, Addrs: []string{"[::1]:7000", "[::2]:7001"}, UseTLS: true}},
		{"embedded://", connect.Config{Mode: connect.Embedded}},
		{"redis+cluster://h1,h2/2", connect.Config{Mode: connect.Cluster, Addrs: []string{"h1:6379", "h2:6379"}, DB: 2}},
		{"redis://h?library_name=shop", connect.Config{Addrs: []string{"h:6379"}, LibraryName: "shop"}},
		{"redis://h?read_timeout=250ms&dial_timeout=2&pool_size=7&retries=1&client_name=api&prefix=p", connect.Config{Addrs: []string{"h:6379"}, Timeouts: connect.Timeouts{Read: 250 * time.Millisecond, Dial: 2 * time.Second}, PoolSize: 7, Retries: 1, ClientName: "api", Prefix: "p"}},
		{"redis://h?password_file=" + file, connect.Config{Addrs: []string{"h:6379"}, Password: "from file"}},
	}
	for _, tc := range cases {
		got, err := connect.Parse(tc.url)
		if err != nil {
			t.Errorf("%s: %v", tc.url, err)
			continue
		}
		if fmt.Sprintf("%+v %q", got, string(got.Password)) != fmt.Sprintf("%+v %q", tc.want, string(tc.want.Password)) {
			t.Errorf("%s:\n got %+v\nwant %+v", tc.url, got, tc.want)
		}
	}
}

func TestParseMistakes(t *testing.T) {
	cases := map[string]string{ // URL -> fields that must be named
		"":                                   "scheme",
		"http://h":                           "scheme",
		"redis://":                           "host",
		"redis://h:0":                        "port",
		"redis://h:bad":                      "port",
		"redis://h/x":                        "db",
		"redis://h/1?db=2":                   "db",
		"redis://::1":                        "host",
		"redis://[::1":                       "host",
		"redis://h1,h2":                      "host",
		"redis://u:se cret@h":                "url",
		"redis://u:se/cret@h":                "userinfo",
		"redis://u:se#cret@h":                "userinfo",
		"redis://u:se?cret@h":                "userinfo",
		"redis://u:%zz@h":                    "userinfo",
		"redis+unix://h/s.sock":              "host",
		"redis+unix://":                      "path",
		"redis+sentinel://s1":                "master",
		"redis+cluster://h/main":             "db",
		"redis://h?password=x":               "password",
		"redis://h?red_timeout=1s":           "query",
		"redis://h?pool_size=x&protocol=9":   "pool_size",
		"redis://h?protocol=9&retries=99":    "protocol retries",
		"redis://h?ca_file=/none":            "tls",
		"rediss+cluster://a,b?server_name=c": "server_name",
		"redis://h?read_timeout=soon":        "read_timeout",
		"redis://h?password_file=/none/such": "password_file",
		"embedded://h":                       "host",
	}
	for url, fields := range cases {
		_, err := connect.Parse(url)
		if !mistaken(err) {
			t.Errorf("%s: got %v, want an OptionError", url, err)
			continue
		}
		for field := range strings.FieldsSeq(fields) {
			if !strings.Contains(err.Error(), field+": ") {
				t.Errorf("%s: %q does not name %s", url, err, field)
			}
		}
	}
	if _, err := connect.Parse("redis://h?red_timeout=1s"); !strings.Contains(err.Error(), "read_timeout") {
		t.Errorf("no suggestion in %v", err)
	}
}

// Wherever a password stands in a wrong URL, no error repeats it.
func TestNoSecretInErrors(t *testing.T) {
	const secret = "hunter2secret"
	for _, url := range []string{
		"redis://:%s@h:bad", "redis://u:%s@h:1/x", "redis://u:x/%s@h", "redis://u:x#%s@h", "redis://u:x?%s@h", "redis://u:x?%s=1@h", "redis://%s",
		"redis://u:%s", "http://u:%s@h", "%s://h", "redis://h?%s=1", "redis://h?password=%s", "redis://h/%s", "redis://h:%s", "redis://u:%%zz%s@h",
		"redis+unix://%s/a", "redis+sentinel://u:%s@s1", "redis://[%s", "redis://h?read_timeout=%s", "redis://h?db=%s", "redis://h?ca_file=%s", "u:%s@h", "redis://u: %s@h",
	} {
		url = fmt.Sprintf(url, secret)
		for _, err := range []error{second(connect.Parse(url)), second(connect.Open(url, connect.WithName("c"))), connect.NewSet().Add("c", url)} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error repeats the secret: %v", url, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestSecretsAreRedacted(t *testing.T) {
	const secret = "hunter2secret"
	c, err := connect.Parse("redis+sentinel://u:" + secret + "@s1/m")
	if err != nil {
		t.Fatal(err)
	}
	c.SentinelPassword = secret
	conn, err := connect.New(c, connect.WithName("c"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	info, _ := json.Marshal(conn.Info())
	config, _ := json.Marshal(struct{ P connect.Secret }{c.Password})
	for _, s := range []string{
		fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%v %s %d %x %q %#v", c.Password, c.Password, c.Password, c.Password, c.Password, c.Password),
		conn.String(), string(info), string(config),
	} {
		if strings.Contains(s, secret) || strings.Contains(s, fmt.Sprintf("%x", secret)) {
			t.Errorf("the secret is printed: %s", s)
		}
	}
}

// FuzzParse: no panic, no part of the user information in an error, and what
// was accepted prints as a URL that is accepted again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"redis://u:pw@h:1/2?db=3", "redis+sentinel://a,[::1]:2/m/1", "redis+cluster://a,b", "unix:///s", "embedded://", "h:1", "redis://%zz@h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		c, err := connect.Parse(url)
		if err != nil {
			if !mistaken(err) {
				t.Fatalf("%q: %v is no OptionError", url, err)
			}
			if _, after, ok := strings.Cut(url, "://"); ok && len(after) > 16 && strings.Contains(err.Error(), after) {
				t.Fatalf("%q: the error repeats the URL: %v", url, err)
			}
			return
		}
		if len(c.Password) > 8 && strings.Contains(c.String(), string(c.Password)) && c.Password != "redacted" {
			t.Fatalf("%q: String shows the password", url)
		}
	})
}
