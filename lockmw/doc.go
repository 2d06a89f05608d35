// Package lockmw serializes requests to a route over all instances of a service,
// and hands out the same locks to other code.
//
//	locks, err := lockmw.New(rdb)
//	if err != nil { … }
//	defer locks.Close(ctx)
//	mux.Handle("POST /orders/{id}/pay", locks.Handler(pay)) // each order has its own lock
//
// # How it works
//
// A lock is a lease of 10 seconds by the server's clock, renewed every third of it
// while the lock is held. Without contention it costs two round trips. Waiters
// queue in order of arrival, the first of each process in Redis. A release wakes
// the first waiter, also after a holder has died. Each holder has a fence, a
// number that grows from holder to holder: a store that refuses smaller ones is
// safe even where a lock is not.
//
// Waiters of one process take over from a holder of the same process without a
// round trip, up to sixteen in a row, each with its own fence. Then the waiters of
// other processes are served.
//
// If the server's clock is set, by less than ten minutes, no holder loses its lock.
// A lock that was never released is granted after its lease only to a process that
// has seen the clock run evenly for a lease, to others a lease later.
//
// # Code without HTTP
//
//	k, err := locks.Acquire(ctx, lockmw.Join("report", day)) // waits until ctx ends
//	if err != nil {
//		return err
//	}
//	defer k.Release(ctx)
//	return makeReport(k.Context(), k.Fence()) // the context ends if the lock is lost
//
// [Locker.TryAcquire] makes one attempt; [RetryAfter] has a hint when to make the
// next. A chain of calls that already holds the lock gets [ErrNested] rather than
// waiting for itself. A panic, of a handler or a hook, releases the lock.
//
// # Keys of requests
//
// The key of a request is its path, decoded: a resource has one lock, however a
// client spells it, whichever method it uses and whichever router is there.
// Package lockkey has other keys for [WithKey]: the values of a pattern, one lock
// for each method, one for each host.
//
// # Readers, and more than one
//
// With [WithReadWrite] readers share a lock that a writer has to itself. With
// [WithPermits] n owners hold it at the same time. All queue in one order, so none
// starves, and a permit of a holder that died returns when its lease ends.
//
// # Several masters
//
// [NewRedlock] asks an odd number of independent masters, and a majority must
// grant: the loss of a minority loses no lock, and a node that hangs costs no
// time. The fence is agreed on by a second round. A node that lost its data
// abstains for a lease. Use it when losing a lock in a failover is unacceptable;
// the fence is cheaper where what you protect can check it.
//
// # When Redis fails
//
// Each call times out after a tenth of the lease, at most 250 ms. A request that
// cannot get its lock gets 503 and its handler does not run ([WithFailureMode]
// changes that); 409 means that another request holds it. A Redis that answers but
// is not set up for locks is not an outage: [ErrSetup], 500.
//
// A lock that cannot be renewed is given up a tenth of its lease before it ends:
// the holder's context is cancelled with [ErrLost] before another can begin. A
// failover may lose a lock, because replication is asynchronous: its holder learns
// that at the next renewal, until then two may run. Pass [Lock.Fence] to what you
// protect.
//
// A call whose connection broke is sent once more by the same owner, which grants
// once and with one fence. A lock whose grant stays unknown is released in the
// background.
//
// # Choosing the options
//
// The lease ([WithTTL]) is how long others wait after a holder died. It should be
// longer than the longest pause of a healthy instance, by garbage collection or a
// suspended machine: such a pause costs the lock. [WithWait] is how long a request
// waits for a busy lock; it should be shorter than the timeout of clients.
// [WithMethods] keeps requests out that change nothing.
//
// # Observability
//
// [Hooks] tell how long callers waited and held locks, which renewals came late, and
// which locks were lost and why. Watch Lost and Failed. Refusals that an operator
// has to fix are logged with [WithLogger], at most one line a request.
//
// # For operators
//
// [Locker.Inspect] says who holds a lock and how many wait, [Locker.ForceRelease]
// takes it from the holder. Tools that see only Redis call [ParseKey] and the function
// [Inspect].
//
// # Limitations
//
// A lock does not make a request idempotent: when it is repeated after the first
// one ended, it runs again; see lockmw/idempotency. Lockers exclude each other if
// they have the same prefix, name and mode: a semaphore and a plain lock of one
// name are two locks.
//
// # Clients
//
// All clients of go-redis work. With a redis.Ring a lock is on the shard of its
// key, and is lost when the Ring gives the key to another shard.
//
// # Keys in Redis
//
// lockmw:v1:<name>:{<hash>} is a string with the holder, its expiry and the fence,
// …:q a sorted set of waiters and …:qp when they polled; for locks that several
// hold …:p has the holders and …:m their state. They outlive the lease by ten
// minutes. Waiters are woken on the channel lockmw:v1:<name>:wake:<instance>; with
// an ACL without channels they poll. lockmw:v1:<name>:boot is on each master of
// NewRedlock.
package lockmw
