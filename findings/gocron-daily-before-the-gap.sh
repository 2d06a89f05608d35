#!/usr/bin/env bash
#
# gocron v2.21.2: a daily job in the hour that spring leaves out runs before the
# clock change in some zones, after it in others.
#
# DaylightSavingsTimeDefault is documented for DailyJob, WeeklyJob and MonthlyJob:
# if the time of day does not exist, the job runs at the adjusted time after the
# transition. With 02:30 that holds for Europe/Berlin (03:30). In America/New_York
# it runs at 01:30, half an hour before the clocks change and an hour before
# 02:30 would have been. The time is what time.Date makes of 02:30, which Go
# leaves open: zones east of Greenwich, and London, get the later one, zones west
# of it the earlier one. DaylightSavingsTimeRunAfterTransition runs at 03:30 in
# all of them, so it is not the same as the default, which reads the same.
#
# Where it bites: a job of 02:30 that relies on one of 01:45 (a dump, then its
# copy). On that day the later one is first, in America, but not in the tests of
# somebody in Europe.
#
# What one does instead: WithDaylightSavingsTimePolicy, explicitly, on each such
# job; or a scheduler with WithLocation(time.UTC).
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
)
EOF
cat >main.go <<'EOF'
package main

import (
	"fmt"
	"os"
	"time"
	_ "time/tzdata"

	"github.com/go-co-op/gocron/v2"
	"github.com/jonboulle/clockwork"
)

// ran is when a daily job of this time of day runs first after midnight of the
// day, on a clock that is moved to the run the scheduler plans.
func ran(loc *time.Location, day time.Time, hour uint, policy gocron.DaylightSavingsTimePolicy) time.Time {
	clock := clockwork.NewFakeClockAt(day)
	s, err := gocron.NewScheduler(gocron.WithLocation(loc), gocron.WithClock(clock))
	check(err)
	defer s.Shutdown()
	runs := make(chan time.Time, 10)
	j, err := s.NewJob(gocron.DailyJob(1, gocron.NewAtTimes(gocron.NewAtTime(hour, 30, 0))),
		gocron.NewTask(func() { runs <- clock.Now() }), gocron.WithDaylightSavingsTimePolicy(policy))
	check(err)
	s.Start()
	next, err := j.NextRun()
	check(err)
	clock.Advance(next.Sub(clock.Now()))
	select {
	case at := <-runs:
		return at.In(loc)
	case <-time.After(10 * time.Second):
		panic("the job did not run")
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	fmt.Println("gocron v2.21.2, daily at 02:30 (London 01:30) on the day when that is left out")
	fmt.Println("expected, default policy: the run is after the transition, everywhere")
	fmt.Println("seen:")
	same := true
	for _, z := range []struct {
		zone       string
		y, m, d    int
		hour       uint
		normal     string // with the default
		transition string // with RunAfterTransition
	}{
		{"Europe/Berlin", 2027, 3, 28, 2, "03:30 CEST", "03:30 CEST"},
		{"Europe/London", 2027, 3, 28, 1, "02:30 BST", "02:30 BST"},
		{"Australia/Sydney", 2027, 10, 3, 2, "03:30 AEDT", "03:30 AEDT"},
		{"America/New_York", 2027, 3, 14, 2, "01:30 EST", "03:30 EDT"},
		{"America/Los_Angeles", 2027, 3, 14, 2, "01:30 PST", "03:30 PDT"},
	} {
		loc, err := time.LoadLocation(z.zone)
		check(err)
		day := time.Date(z.y, time.Month(z.m), z.d, 0, 0, 0, 0, loc)
		normal := ran(loc, day, z.hour, gocron.DaylightSavingsTimeDefault).Format("15:04 MST")
		transition := ran(loc, day, z.hour, gocron.DaylightSavingsTimeRunAfterTransition).Format("15:04 MST")
		fmt.Printf("  %-20s %s  default %-10s  run after transition %s\n", z.zone, day.Format(time.DateOnly), normal, transition)
		same = same && normal == z.normal && transition == z.transition
	}
	if !same {
		fmt.Println("this is no longer what the head of the script says")
		os.Exit(1)
	}
}
EOF
go run .
