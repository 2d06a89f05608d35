// Package lockmw lets one request at a time into a route, over all instances
// of a service, and hands out the same locks to other code.
//
//	locks, err := lockmw.New(rdb)
//	if err != nil { … }
//	defer locks.Close(ctx)
//	mux.Handle("POST /orders/{id}/pay", locks.Handler(pay)) // each order by itself
//
// # How it works
//
// A lock is a lease of 10 seconds, by the server's clock, renewed at a third
// while it is held. If that clock is set, by less than ten minutes, no lock is
// taken away: a holder that never released is succeeded after its lease only by those
// who have seen the clock run evenly for as long, by others a lease later.
// Uncontended it costs two round trips. Waiters queue in
// order of arrival, the first of each process in Redis, and a release wakes the one
// whose turn it is, also when a holder has died. Each holder has a fence, a number that grows from holder to
// holder: a store that refuses smaller ones is safe even where a lock is not.
//
// Waiters of one process take over from a holder of the same process without a
// round trip, up to sixteen in a row, with a fence each; then other processes
// get their turn.
//
// # Keys of requests
//
// The key of a request is its path, decoded ([ByPath]): what is one thing has
// one lock, however a client spells it, whichever method it uses and whichever
// router is there. [PerMethod], [PerHost] and [WithKey] change that.
//
// # Readers, and more than one
//
// With [WithReadWrite] readers share a lock that a writer has to itself; with
// [WithPermits] n hold it at a time. They queue in one order, nobody is starved, and a
// permit of a holder that died returns with the end of its lease.
//
// # Several masters
//
// [NewRedlock] asks an odd number of independent masters, and a majority must
// grant: the loss of a minority loses no lock, and a node that hangs costs
// nothing. The fence is agreed on by a second round. A node that has lost its data
// abstains for a lease. It is for those who cannot bear that a failover of one deployment
// may lose a lock; the fence is cheaper where what is protected can check it.
//
// # For operators
//
// [Locker.Inspect] says who holds a lock and how many wait, [Locker.ForceRelease]
// takes it away.
//
// A lock that cannot be renewed is given up a tenth of its lease before it
// ends: the holder's context is cancelled with [ErrLost] before another can
// begin. A call whose connection broke is sent once more by the same owner, which
// grants once and with one fence; a lock whose grant stays unknown is released in
// the background.
//
// # When Redis fails
//
// Each call has a tenth of the lease, at most 250 ms. A request that cannot
// get its lock is answered 503 and its handler does not run
// ([WithDangerousFailOpen] changes that); 409 means that another request holds it. A
// Redis that answers, but is not set up for locks, is no outage: [ErrSetup], 500. A
// running request is cancelled before its lease is over. A failover may lose
// a lock, for replication is asynchronous: its holder learns of it at the next
// renewal, until then two may run. Pass [Lock.Fence] to what you protect.
//
// # What it is not
//
// A lock is not idempotency: a request repeated after the first one ended runs
// again; see lockmw/idempotency. Lockers exclude each other that have the same prefix,
// name and mode: a semaphore and a plain lock of one name are two locks.
//
// # Clients
//
// Any client of go-redis will do. With a redis.Ring a lock is on the shard of
// its key, and is lost when the Ring gives the key to another shard.
//
// # Keys in Redis
//
// lockmw:v1:<name>:{<hash>} is a string with the holder, its expiry and the
// fence, …:q a sorted set of waiters and …:qp when they polled, and for locks that several hold …:p the holders and …:m their
// state; they live for the lease and ten minutes. Waiters are woken on the channel
// lockmw:v1:<name>:wake:<instance>; an ACL without channels makes them poll.
// lockmw:v1:<name>:boot is on each master of NewRedlock.
package lockmw
