package admin_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
)

// Whatever right of those that a list uses is missing, also one that only its
// script uses: the page says so, in place of rows that would seem not to exist.
func TestListsSayWhichRightIsMissing(t *testing.T) {
	server := redistest.NewServer(t)
	direct, ctx := server.Client(t), t.Context()
	everything(t, direct)
	url := strings.Replace(server.URL(), "redis://", "redis://panel:secret@", 1)
	allow := func(rule string) {
		t.Helper()
		if err := direct.Do(ctx, "acl", "setuser", "panel", "reset", "on", ">secret", "allkeys", "allchannels", "+@all", rule).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, page := range []string{"limits", "locks", "cron", "sessions", "cache"} {
		allow("+@all")
		b := open(t, setOf(t, map[string]string{"default": url}))
		b.see(page)
		direct.ConfigResetStat(ctx)
		b.see(page)
		used, err := direct.Info(ctx, "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(used) {
			command, _, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
			switch {
			case !strings.HasPrefix(line, "cmdstat_"), strings.HasPrefix(command, "config"), command == "ping", command == "hello":
				continue
			}
			allow("-" + command)
			status, body := open(t, setOf(t, map[string]string{"default": url})).get(page)
			if said := strings.Contains(body, "NOPERM") || strings.Contains(body, "can&#39;t run this command") || strings.Contains(body, "ACL failure"); !said {
				t.Errorf("%s without %s: %d, and it does not say so", page, command, status)
			}
		}
	}
}

// What the server does not tell of a key is not known: it is neither 0 nor none.
func TestWhatIsNotToldOfAKeyIsNotKnown(t *testing.T) {
	server := redistest.NewServer(t)
	direct, ctx := server.Client(t), t.Context()
	direct.Set(ctx, "some:key", "value", time.Hour)
	if err := direct.Do(ctx, "acl", "setuser", "panel", "reset", "on", ">secret", "allkeys", "+@all", "-pttl", "-strlen", "-memory", "-object").Err(); err != nil {
		t.Fatal(err)
	}
	b := open(t, setOf(t, map[string]string{"default": strings.Replace(server.URL(), "redis://", "redis://panel:secret@", 1)}))
	for _, page := range []string{"keys", "key" + q("key", "some:key")} {
		body := text(b.see(page, "some:key"))
		if lie := regexp.MustCompile(`(^|[^.\d])(0s|0 s|0 ms)|none|now`).FindString(body); lie != "" {
			t.Errorf("%s: %q in %s", page, lie, body)
		}
	}
}
