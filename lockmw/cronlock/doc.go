// Package cronlock has a job that many instances schedule run on one of them:
// once for each tick, whatever the instances' clocks show.
//
//	runner, err := cronlock.New(rdb)
//	if err != nil { … }
//	defer runner.Close(ctx)
//	report, err := runner.Job("nightly-report", func(ctx context.Context) error { … })
//	if err != nil { … }
//	entry, err := report.Entry(schedule)
//	if err != nil { … }
//	c := cron.New() // robfig/cron; other schedulers call report.Func(schedule)
//	c.Schedule(entry, entry)
//
// [New] makes a [Runner], [Runner.Job] a [Job]. A scheduler calls it by
// [Job.Entry], [Job.Func] or [Wrap]; [Job.Run] does the same for a tick that
// the program knows. [Job.Status] shows what all instances know of the job.
//
// # How it decides
//
// A tick is the time at which the schedule is due, not when an instance wakes
// up. Redis stores the latest tick that was begun and begins no tick twice, nor
// one before it: neither the length of the job nor the difference between
// clocks matters. A tick that lies further ahead of the server's clock than
// [WithMaxAhead] waits for it, so that one fast clock does not drive the fleet;
// one that is later than [WithMaxLate] is dropped. Intervals without a common
// phase ("every 10 minutes") have no ticks; [WithMinGap] sets the least time
// from start to start instead. Each decision is one round trip, and no instance
// sleeps for it.
//
// A schedule is read in the scheduler's time zone, see [Job.Entry] and
// [WithLocation]. A call of a scheduler for which there is no tick is a
// misfire: logged, reported to the hooks, and shown by [Job.Status].
//
// # While it runs
//
// The run has a lease of 30 seconds ([WithTTL]) that is renewed at a third of
// it. If it cannot be renewed, or another instance acquired it, the context of
// the run ends with a cause that matches [lockmw.ErrLost], before another run
// can begin. [Run.Fence] grows from run to run: store it with what the job
// writes, and reject smaller ones.
//
// With [WithTakeover] the instances that did not get the tick watch: if the
// holder dies before it has reported the end, exactly one of them runs the same
// tick again, and those that have become due since follow in order. Without it
// the tick is lost, and the next one runs.
//
// # When Redis fails
//
// A decision without a reply is requested once more, which begins nothing
// twice. A job whose tick cannot be decided does not run; [Job.Run] returns
// [ErrUnavailable]. A run that cannot be renewed is cancelled before its lease
// ends. After a failover that lost the decision a tick may run once more.
//
// # Limitations
//
// It has no scheduler: robfig/cron, a ticker or any other one calls it, on
// every instance. Retries of a job that fails are the job's. A tick whose
// instance dies is run again only with [WithTakeover].
//
// # Keys
//
// cron:v1:<name>:{<hash>} is a hash, the state of one job. It lives for 8 days
// after the last run ([WithRetention]). …:w, a hash, has the ticks that are
// watched. [ParseKey] and [Inspect] read them.
package cronlock
