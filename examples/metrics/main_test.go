package main

import (
	"context"
	_ "embed" // for the dashboard
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redishttp/redishttp/examples/internal/programtest"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 30 * time.Second

//go:embed dashboard.json
var dashboard []byte

func serve(t *testing.T, traffic bool) string {
	t.Helper()
	redisURL := redistest.Standalone(t).URL
	base, _ := programtest.Serve(t, func(ctx context.Context, out io.Writer) error { return run(ctx, "127.0.0.1:0", redisURL, traffic, out) })
	return base
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What the dashboard asks for is what the program reports.
func TestTheDashboardAsksForWhatThereIs(t *testing.T) {
	base := serve(t, false)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() { get(t, base+"/time"); get(t, base+"/visits") })
		wg.Go(func() {
			if resp, err := http.Post(fmt.Sprintf("%s/orders/%d/pay", base, i%2), "", nil); err == nil {
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	asked := 18
	hit := regexp.MustCompile(`redishttp_cache_requests_total\{.*outcome="hit".*\}`)
	var metrics string
	redistest.Eventually(t, patience, func() bool { // those at once may all have shared one answer
		get(t, base+"/time")
		asked++
		metrics = get(t, base+"/metrics")
		return hit.MatchString(metrics)
	}, "no hit")
	for _, line := range []string{
		fmt.Sprintf(`redishttp_ratelimit_decisions_total\{.*outcome="allowed".*redishttp_name="site".*\} %d`, asked),
		`redishttp_session_saves_total\{`,
		`redishttp_lock_wait_seconds_bucket\{.*le="0.25"\}`,
	} {
		if !regexp.MustCompile(line).MatchString(metrics) {
			t.Errorf("no %s in\n%s", line, metrics)
		}
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(dashboard, &board); err != nil {
		t.Fatal(err)
	}
	// What happens rarely is not reported before it does.
	rare := []string{"redishttp_lock_renewals_total", "redishttp_lock_lost_total", "redishttp_failures_total", "redishttp_ratelimit_unavailable", "redishttp_cron_runs_total", "redishttp_cron_duration_seconds_bucket", "redishttp_session_events_total"}
	name := regexp.MustCompile(`redishttp_[a-z_]+`)
	named := 0
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			for _, m := range name.FindAllString(target.Expr, -1) {
				if m == "redishttp_name" || slices.Contains(rare, m) {
					continue
				}
				if named++; !strings.Contains(metrics, m+"{") {
					t.Errorf("panel %q asks for %s, which is not reported", p.Title, m)
				}
			}
		}
	}
	if named < 10 {
		t.Errorf("the dashboard asks for %d metrics", named)
	}
}

func TestItIsItsOwnClient(t *testing.T) {
	base := serve(t, true)
	redistest.Eventually(t, patience, func() bool {
		return strings.Contains(get(t, base+"/metrics"), `redishttp_lock_held_seconds_count`)
	}, "no traffic")
}
