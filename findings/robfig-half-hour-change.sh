#!/usr/bin/env bash
#
# robfig/cron v3.0.1: where clocks change by half an hour, a daily job whose time
# exists on that day does not run, and one of another time runs an hour late.
#
# Australia/Lord_Howe goes forward from 02:00 to 02:30 and back from 02:00 to
# 01:30. 03:00 exists once on both days, so a job of "0 3 * * *" is due. Next leaves
# both days out: it advances by whole hours of elapsed time, from 01:00 to 02:30 and
# 03:30 in spring, and the hour that it then looks at is past 03:00. "30 1 * * *"
# fires twice on the day in spring, at 01:30 and at 02:30. A zone whose clocks
# change by an hour (Europe/Berlin) shows neither.
#
# Where it bites: a nightly job that is skipped twice a year, without an error, in
# the one zone in use that changes by less than an hour.
#
# What one does instead: the scheduler in UTC (cron.WithLocation(time.UTC)), or
# CRON_TZ=UTC before the spec.
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

require github.com/robfig/cron/v3 v3.0.1
EOF
cat >main.go <<'EOF'
package main

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

func main() {
	for _, tc := range []struct{ zone, spec, from string }{
		{"Australia/Lord_Howe", "0 3 * * *", "2027-10-02"},
		{"Australia/Lord_Howe", "0 3 * * *", "2027-04-03"},
		{"Australia/Lord_Howe", "30 1 * * *", "2027-10-02"},
		{"Europe/Berlin", "30 3 * * *", "2027-03-27"},
	} {
		zone, err := time.LoadLocation(tc.zone)
		if err != nil {
			panic(err)
		}
		schedule, err := cron.ParseStandard(tc.spec)
		if err != nil {
			panic(err)
		}
		at, err := time.ParseInLocation(time.DateOnly, tc.from, zone)
		if err != nil {
			panic(err)
		}
		var seen []string
		for end := at.AddDate(0, 0, 3); ; {
			if at = schedule.Next(at); !at.Before(end) {
				break
			}
			seen = append(seen, at.Format("01-02 15:04"))
		}
		fmt.Printf("%-20s %-11s %s\n", tc.zone, tc.spec, strings.Join(seen, ", "))
	}
}
EOF
go mod tidy >/dev/null 2>&1
go run . >seen
echo "robfig/cron v3.0.1, three days around a clock change; expected: each job once a day"
cat seen
cat >want <<'EOF'
Australia/Lord_Howe  0 3 * * *   10-02 03:00, 10-04 03:00
Australia/Lord_Howe  0 3 * * *   04-03 03:00, 04-05 03:00
Australia/Lord_Howe  30 1 * * *  10-02 01:30, 10-03 01:30, 10-03 02:30, 10-04 01:30
Europe/Berlin        30 3 * * *  03-27 03:30, 03-28 03:30, 03-29 03:30
EOF
diff want seen || { echo "this is no longer what the head of the script says"; exit 1; }
echo "so: 3:00 is missing on both days of a change by half an hour, and 1:30 runs again at 2:30"
