package cronlock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

func TestParseKey(t *testing.T) {
	r, err := cronlock.New(redistest.Standalone(t).Client(t), cronlock.WithName("nightly"))
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, r)
	job, err := r.Job("report", func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	got, ok := cronlock.ParseKey(job.Key())
	if !ok || got.Runner != "nightly" || len(got.Job) != 32 || got.Part != "" {
		t.Errorf("%s: got %+v, %t", job.Key(), got, ok)
	}
	if watch, ok := cronlock.ParseKey(job.Key() + ":w"); !ok || watch.Part != "w" || watch.Job != got.Job {
		t.Errorf("the watchers: got %+v, %t", watch, ok)
	}
	for _, key := range []string{"", "cron:v1:nightly:{x}", job.Key() + ":x", "other:v1:nightly:{" + got.Job + "}"} {
		if got, ok := cronlock.ParseKey(key); ok {
			t.Errorf("%q: got %+v, want none", key, got)
		}
	}
}

// Inspect says of many jobs what Status says of each.
func TestInspect(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		r := runner(t, rdb)
		now := time.Now().Truncate(time.Second)
		var keys []string
		want := map[string]cronlock.Status{}
		for name, result := range map[string]error{"fine": nil, "fails": errors.New("no paper")} {
			job, err := r.Job(name, func(context.Context) error { return result })
			if err != nil {
				t.Fatal(err)
			}
			if o, err := job.Run(t.Context(), now); o != cronlock.Ran || !errors.Is(err, result) {
				t.Fatalf("%s: got %s, %v", name, o, err)
			}
			keys = append(keys, job.Key())
			if want[job.Key()], err = job.Status(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		foreign := redistest.Prefix(t) + "text"
		rdb.Set(t.Context(), foreign, "x", time.Minute)
		all, err := cronlock.Inspect(t.Context(), rdb, append(keys, foreign)...)
		if err != nil || len(all) != 2 {
			t.Fatalf("got %+v, %v", all, err)
		}
		for key, status := range want {
			if got := all[key]; got != status || !got.Tick.Equal(now) || got.Attempt != 1 {
				t.Errorf("%s: got %+v, want %+v", key, got, status)
			}
		}
	})
}

func TestErrUnavailable(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	r := runner(t, rdb, cronlock.WithTimeout(50*time.Millisecond))
	job, err := r.Job("report", func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	_, runErr := job.Run(t.Context(), time.Now())
	_, statusErr := job.Status(t.Context())
	_, inspectErr := cronlock.Inspect(t.Context(), rdb, job.Key())
	for name, err := range map[string]error{"Run": runErr, "Status": statusErr, "Inspect": inspectErr} {
		if !errors.Is(err, cronlock.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}
