package lockmw

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// store is where locks are: one deployment, or several masters that vote. Each
// call takes [WithTimeout] at most.
type store interface {
	// acquire takes the lock for owner, or a place in its queue.
	acquire(ctx context.Context, keys []string, owner string, q query) (reply, error)
	// renew extends the lease.
	renew(ctx context.Context, keys []string, owner string) (renewal, error)
	// release releases the lock.
	release(ctx context.Context, keys []string, h holding) (outcome, error)
	// close waits for calls that still run.
	close()
}

// forcer is a store that can take a lock from its holder.
type forcer interface {
	force(ctx context.Context, keys []string, owner string) (outcome, error)
}

// query says what an attempt is for.
type query struct {
	share   bool // not the whole lock
	enqueue bool // if it is busy
	queued  bool // already
}

// outcome is the reply of scripts that change a lock that is held.
type outcome int64

const (
	// succeeded means that the owner had the lock, and the change is made.
	succeeded outcome = 1
	// otherOwner means that another has the lock, or none.
	otherOwner outcome = 0
	// stateGone means that Redis has nothing of the lock: it was flushed, or a
	// failover lost it.
	stateGone outcome = -1
	// undecided means that there may be waiters: release.lua has to decide.
	undecided outcome = 2
	// revoted is of a node of a quorum that lost the lock and voted again.
	revoted outcome = 3
	// unsupported means that the server lacks SET … IFEQ: a script has to do it.
	unsupported outcome = 4
)

// written is what a reply says of the string of a lock that the script wrote. The
// zero one says nothing.
type written struct {
	at      int64 // ms, by the server's clock; the lease begins then
	waiters bool  // there may be some
}

// renewal is the reply of renew.lua and its kin.
type renewal struct {
	outcome
	written
}

// holding is what a release knows of the lock.
type holding struct {
	owner     string
	fence     uint64 // the first one of the grant
	written   written
	abandoned bool // in the background, where no caller waits for the reply
	leave     bool // its place in the queue, too
}

// reply is that of acquire.lua, queue.lua, share.lua and vote.lua.
type reply struct {
	granted   bool
	full      bool // the queue
	undecided bool // queue.lua has to decide
	mismatch  bool // of the number of permits
	fence     uint64
	left      time.Duration // until the lock may be free
	now       int64         // the server's time, in ms
	split     bool          // some masters voted, but no majority: try again as another owner
	twice     bool          // it was sent twice: the first call may still be on its way, so the release is sent twice, too
	written   written
}

func decodeReply(v []int64) (reply, error) {
	if len(v) != 4 {
		return reply{}, fmt.Errorf("reply of %d values, want four", len(v))
	}
	code, fence, left, now := v[0], v[1], v[2], v[3]
	r := reply{granted: code == 1, full: code == -1, undecided: code == 2, mismatch: code == -3, left: millis(left), now: now}
	if left < 0 || left > maxLeft || r.granted && fence <= 0 {
		return reply{}, errors.New("reply is out of range")
	}
	if r.granted {
		r.fence, r.left, r.written = uint64(fence), 0, written{at: now, waiters: left != 0}
	}
	return r, nil
}

// maxLeft bounds what a reply may say is left of a lease, in ms.
const maxLeft = int64(1000 * time.Hour / time.Millisecond)
