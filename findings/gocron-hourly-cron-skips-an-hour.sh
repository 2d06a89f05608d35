#!/usr/bin/env bash
#
# gocron v2.21.2: an hourly CronJob leaves out a run when clocks go back.
#
# So that a nightly job does not run twice in autumn, CronJob drops a run whose
# time of day is that of the last run. For "0 * * * *" that is the run of the
# second 02:00: two hours pass without one. "*/30 * * * *" keeps all its runs, for
# no two in a row have the same time of day. robfig/cron v3, whose schedules
# gocron uses, runs each hour. Nothing of this is in the documentation of CronJob.
# "CRON_TZ=UTC 0 * * * *" has the same gap as long as the scheduler's location has
# one: times are compared there.
#
# Where it bites: what is due every hour and expects it, such as a roll-up of the
# last hour (one hour of data is never summed), a token that lives 90 minutes, an
# alarm that fires after 65 minutes without a sign of life.
#
# What one does instead: a scheduler with WithLocation(time.UTC) for such jobs, or
# DurationJob(time.Hour).
#
# Needs go on the PATH, and no Redis.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export GOWORK=off GOFLAGS=-mod=mod

cat >go.mod <<'EOF'
module finding

go 1.24

require (
	github.com/go-co-op/gocron/v2 v2.21.2
	github.com/jonboulle/clockwork v0.5.0
	github.com/robfig/cron/v3 v3.0.1
)
EOF
cat >main.go <<'EOF'
package main

import (
	"fmt"
	"os"
	"strings"
	"time"
	_ "time/tzdata"

	"github.com/go-co-op/gocron/v2"
	"github.com/jonboulle/clockwork"
	"github.com/robfig/cron/v3"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// withGocron lets a job run until the end, on a clock that is moved to each run
// the scheduler plans.
func withGocron(loc *time.Location, from, to time.Time, crontab string) (runs []time.Time) {
	clock := clockwork.NewFakeClockAt(from)
	s, err := gocron.NewScheduler(gocron.WithLocation(loc), gocron.WithClock(clock))
	check(err)
	defer s.Shutdown()
	ran := make(chan time.Time, 10)
	j, err := s.NewJob(gocron.CronJob(crontab, false), gocron.NewTask(func() { ran <- clock.Now() }))
	check(err)
	s.Start()
	for {
		next, err := j.NextRun()
		check(err)
		for wait := 0; !next.After(clock.Now()); wait++ { // the next one is not planned yet
			if wait == 1000 {
				panic("no next run")
			}
			time.Sleep(5 * time.Millisecond)
			next, err = j.NextRun()
			check(err)
		}
		if next.After(to) {
			return runs
		}
		clock.Advance(next.Sub(clock.Now()))
		select {
		case at := <-ran:
			runs = append(runs, at)
		case <-time.After(10 * time.Second):
			panic("the job did not run")
		}
	}
}

// withRobfig lists the same for robfig/cron.
func withRobfig(loc *time.Location, from, to time.Time, crontab string) (runs []time.Time) {
	schedule, err := cron.ParseStandard(crontab)
	check(err)
	for at := schedule.Next(from.In(loc)); !at.After(to); at = schedule.Next(at) {
		runs = append(runs, at)
	}
	return runs
}

func main() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	check(err)
	// At 03:00 summer time, 01:00 UTC, clocks go back to 02:00.
	from := time.Date(2027, 10, 30, 22, 30, 0, 0, time.UTC)
	to := time.Date(2027, 10, 31, 3, 30, 0, 0, time.UTC)
	longest := func(name string, runs []time.Time) time.Duration {
		var gap time.Duration
		var at []string
		for i, r := range runs {
			at = append(at, r.UTC().Format("15:04"))
			if i > 0 {
				gap = max(gap, r.Sub(runs[i-1]))
			}
		}
		fmt.Printf("  %-42s %s (longest wait %v)\n", name, strings.Join(at, " "), gap)
		return gap
	}
	fmt.Println("gocron v2.21.2, robfig/cron v3.0.1, Europe/Berlin, 2027-10-31, in UTC")
	fmt.Println("expected: 0 * * * * runs at 23:00 00:00 01:00 02:00 03:00, once an hour")
	fmt.Println("seen:")
	robfig := longest("robfig/cron 0 * * * *", withRobfig(berlin, from, to, "0 * * * *"))
	hourly := longest("gocron 0 * * * *", withGocron(berlin, from, to, "0 * * * *"))
	prefix := longest("gocron CRON_TZ=UTC 0 * * * *", withGocron(berlin, from, to, "CRON_TZ=UTC 0 * * * *"))
	half := longest("gocron */30 * * * *", withGocron(berlin, from, to, "*/30 * * * *"))
	utc := longest("gocron 0 * * * *, scheduler in UTC", withGocron(time.UTC, from, to, "0 * * * *"))
	if robfig != time.Hour || hourly != 2*time.Hour || prefix != 2*time.Hour || half != 30*time.Minute || utc != time.Hour {
		fmt.Println("this is no longer what the head of the script says")
		os.Exit(1)
	}
}
EOF
go run .
