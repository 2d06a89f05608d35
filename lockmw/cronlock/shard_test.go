package cronlock_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

// A master of a cluster that hangs or is gone concerns the jobs whose keys it has;
// those of the living masters run on, with a plain cluster client.
func TestJobsOfLivingMastersRunOn(t *testing.T) {
	servers := redistest.NewCluster(t, 0, redistest.WithArgs("--cluster-require-full-coverage", "no"))
	r, err := cronlock.New(servers.Target().Client(t), cronlock.WithTimeout(300*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	redistest.CloseAfter(t, patience, r)
	jobs := map[*redistest.Server]*cronlock.Job{} // one for each master
	for n := 0; len(jobs) < 3; n++ {
		j, err := r.Job(fmt.Sprint("job", n), func(context.Context) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		jobs[servers.MasterOf(t, j.Key())] = j
	}
	tick := time.Now().Add(-5 * time.Minute)
	for _, j := range jobs {
		if o, err := j.Run(t.Context(), tick); o != cronlock.Ran || err != nil {
			t.Fatalf("got %s, %v", o, err)
		}
	}
	var dead *redistest.Server
	for dead = range jobs {
		break
	}
	for _, fault := range []func(){dead.Pause, dead.Kill} {
		fault()
		for range 6 {
			tick = tick.Add(time.Second)
			for master, j := range jobs {
				o, err := j.Run(t.Context(), tick)
				if master == dead && !errors.Is(err, lockmw.ErrUnavailable) || master != dead && (o != cronlock.Ran || err != nil) {
					t.Errorf("dead %v: got %s, %v", master == dead, o, err)
				}
			}
		}
	}
}
