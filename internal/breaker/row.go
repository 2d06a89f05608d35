package breaker

import (
	"errors"
	"net"
	"time"
)

// silence is for how long after a failure nothing must have been answered before
// calls that failed together count each: with the budget of the first, longer than
// pauses of a server that is well (writes that wait while a slot moves, a fork) or of
// this process (a garbage collection, no CPU).
const silence = 200 * time.Millisecond

// row is the failures in a row: those since the last answer.
//
// Calls that wait during one pause time out together: however many they are, they
// tell of one moment. So a failure only counts as a further one if its call began
// after the one that was counted last had failed: of a server that hangs there is one
// each budget. A refused connection is no pause, so each counts; go-redis' pool would
// otherwise meet as many as it has connections, and then dials once a second only.
type row struct {
	all     int32 // failed calls
	counted int32 // those of which each began after the one before had failed
	first   int64 // when the first failed
	last    int64 // when the last that was counted failed
}

// add records the failure, at this time, of a call that began at start. refused says that
// nothing listens at the node.
func (r *row) add(start, at int64, refused bool) {
	if r.all == 0 {
		r.first = at
	}
	r.all++
	if r.counted == 0 || start >= r.last || refused {
		r.counted, r.last = r.counted+1, at
	}
}

// isOutage reports whether these failures are enough not to wait any longer:
// limit of them one after the other; or limit in all when Redis has been silent
// and not only calls of one moment failed. Without the second a server that hangs
// under load would be waited for limit times, by all.
func (r *row) isOutage(limit int32, at int64) bool {
	return r.counted >= limit || r.all >= limit && r.counted > 1 && at-r.first >= int64(silence)
}

// isRefused reports whether a connection could not be made, and at once.
func isRefused(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial" && !dial.Timeout()
}
