package session

import (
	"errors"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// Errors that reach [Hooks] or a caller.
var (
	// ErrUnavailable is returned when Redis does not reply within
	// [WithTimeouts], cannot be reached, or replies that it cannot execute the
	// command now: LOADING, READONLY, OOM. It is the same error in all packages
	// of this module. The client gets 503 with Retry-After and keeps its
	// cookie.
	ErrUnavailable = unavailable.Err
	// ErrHeadersSent is reported to [Hooks] for a change that needs a cookie
	// after the header was sent, such as the first Put of a new session.
	// Without the cookie the change is lost: make it before the first Write. A
	// change of the cookie's end, by RememberMe or SetDeadline, is saved all
	// the same.
	ErrHeadersSent = errors.New("session: the header was already sent, the cookie cannot be changed")
	// ErrCorrupt is reported for a stored value that cannot be decoded, or for
	// a key of another Redis type. The session was deleted and the request has
	// a new one. Many of them after a deployment mean that [WithCodec] or a
	// registered type has changed.
	ErrCorrupt = errors.New("session: the stored value cannot be decoded")
	// ErrTooLarge is returned when saving a session whose encoding is larger
	// than [WithMaxSize]. The old value was kept. The client gets 500, without
	// Retry-After.
	ErrTooLarge = errors.New("session: too large")

	// ErrGone is returned when saving a session that was logged out or has expired
	// since it was loaded. Nothing was written; the response removes the cookie,
	// unless a login of another request has replaced the session. [Manager.Revoke]
	// returns it when none of the user's sessions has the handle.
	ErrGone = errors.New("session: no longer exists")
	// ErrConflict is returned when other requests kept changing the session until
	// the time for saving was over. Nothing was written. The client gets 409.
	ErrConflict = errors.New("session: changed by too many requests at once")

	// ErrEncode is returned when saving a session with a value that its codec
	// cannot encode: a channel, or a type that gob does not know. Nothing was
	// written; the old value was kept. The client gets 500.
	ErrEncode = errors.New("session: a value cannot be encoded")
	// ErrRefused is returned when Redis replies with an error that waiting does
	// not change, such as a missing ACL right. The client gets 500, also with
	// [FailAnonymous]: the mistake must not pass for an outage.
	ErrRefused = errors.New("redis refuses the command")
	// ErrUnconfirmed is returned by Destroy, Revoke, RevokeOthers and RevokeAll
	// for a logout that was done, but that fewer replicas have confirmed in
	// time than [WithWaitReplicas] requires: a failover now could bring the
	// session back.
	ErrUnconfirmed = errors.New("session: done, but not confirmed by the replicas")
	// ErrUnknownKey is reported for a stored value that was encrypted under a key
	// this instance does not have. The request has a new session, so that its user
	// can log in. The value is not deleted, except by [Manager.Destroy].
	ErrUnknownKey = errors.New("session: the stored value is encrypted under a key that is not configured")
)

var (
	// errClock is reported when a session is past its deadline by this machine's
	// clock, although Redis would keep it: the clocks of the machines differ by
	// more than the session's life. The session is not used.
	errClock = errors.New("session: the clock of this machine, or of the one that saved the session, is wrong")
	// errExpired is returned by checkedCodec.Decode. It never leaves the package.
	errExpired = errors.New("session: past its deadline")
	// errRotated is returned for a change to a session that the login of another
	// request has replaced since it was loaded. The change is dropped: what the
	// holder of the old token does must not reach the new session. The client keeps
	// its cookie, which the other response has set.
	errRotated = errors.Join(ErrGone, errors.New("session: a login has replaced it"))
)
