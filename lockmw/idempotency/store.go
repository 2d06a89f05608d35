package idempotency

import (
	"context"
	"crypto/sha256"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

var (
	//go:embed begin.lua
	beginSource string
	//go:embed finish.lua
	finishSource string
)

// store is where records are. Each call is bounded by the timeout, whatever
// the context it comes with.
type store struct {
	rdb     Client
	caller  *bounded.Caller
	begins  *redis.Script
	ends    *redis.Script
	timeout time.Duration
}

// newStore returns a store that has not dialled.
func newStore(rdb Client, timeout time.Duration) *store {
	return &store{rdb: rdb, caller: bounded.New(rdb), timeout: timeout, begins: redis.NewScriptServerSHA(beginSource), ends: redis.NewScriptServerSHA(finishSource)}
}

// state is a record's field s.
type state string

const (
	stateNone      state = ""
	stateBegun     state = "p"
	stateOpen      state = "u" // an attempt that may have had an effect, and has ended
	stateKept      state = "d"
	stateSpent     state = "x"
	stateForgotten state = "f"
	stateStale     state = "stale" // a later holder of the lock was there; never stored
)

// record is what Redis knows of an operation.
type record struct {
	state       state
	fingerprint string
	kept        []byte
	mine        bool // begun by this very attempt
	attempt     int
}

// verdict returns what a record means for a request for op: an error, what is
// kept if the state is that, or nothing if the operation is to be done.
func (rec record) verdict(op Operation) ([]byte, error) {
	switch rec.state {
	case stateNone, stateForgotten:
		return nil, nil
	case stateBegun, stateOpen, stateKept, stateSpent:
	default: // of a later version
		return nil, failure("look", errReply)
	}
	switch {
	case rec.fingerprint != string(op.Fingerprint[:]):
		return nil, ErrMismatch
	case rec.state == stateSpent:
		return nil, ErrNotKept
	}
	return rec.kept, nil
}

// errReply is the error of a record or a reply of a later version, or of
// another program.
var errReply = errors.New("not a reply that is known")

// look reads a record. A replica that is behind shows an older one, which
// costs a round trip: the script asks the master. It reads once more if the
// connection broke and there is time left.
func (s *store) look(ctx context.Context, id string) (record, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	v, err := s.read(ctx, id)
	if err != nil && ctx.Err() == nil && !refused(err) {
		v, err = s.read(ctx, id)
	}
	if err != nil {
		return record{}, err
	}
	return decodeLook(v)
}

// read reads a record once.
func (s *store) read(ctx context.Context, id string) ([]any, error) {
	cmd := redis.NewSliceCmd(ctx, "hmget", id, "s", "p", "r")
	if err := s.caller.Process(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Val(), nil
}

// refused reports whether an error is an answer of Redis that comes before the
// first write of a script: nothing was done.
func refused(err error) bool {
	for _, prefix := range []string{"WRONGTYPE", "OOM", "MISCONF", "READONLY", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOREPLICAS", "NOAUTH", "BUSY"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// decodeLook decodes the reply of read; a record that does not exist is the
// zero one.
func decodeLook(v []any) (record, error) {
	if len(v) != 3 {
		return record{}, fmt.Errorf("%w: %d values", errReply, len(v))
	}
	if v[0] == nil {
		return record{}, nil
	}
	return decodeRecord(v[0], v[1], v[2])
}

// decodeRecord decodes the state, the fingerprint and what is kept.
func decodeRecord(s, fingerprint, kept any) (record, error) {
	text, _ := s.(string)
	hash, _ := fingerprint.(string)
	if text == "" || len(hash) != sha256.Size {
		return record{}, fmt.Errorf("%w: not a record", errReply)
	}
	rec := record{state: state(text), fingerprint: hash}
	if rec.state == stateKept {
		result, ok := kept.(string)
		if !ok {
			return record{}, fmt.Errorf("%w: nothing is kept", errReply)
		}
		rec.kept = []byte(result)
	}
	return rec, nil
}

// holder is the attempt that begins or ends, and its record.
type holder struct {
	id          string // of the record
	owner       string
	fence       uint64
	fingerprint []byte
	ttl         time.Duration
}

// args are the arguments with which both scripts begin.
func (h holder) args(more ...any) []any {
	return append([]any{h.owner, strconv.FormatUint(h.fence, 10), h.fingerprint, h.ttl.Milliseconds()}, more...)
}

// begin records that the attempt begins, unless a record stands against it.
func (s *store) begin(ctx context.Context, h holder, rerun bool) (record, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	again := 0
	if rerun {
		again = 1
	}
	v, err := s.caller.Run(ctx, s.begins, []string{h.id}, h.args(again)...).Slice()
	if err != nil {
		return record{}, err
	}
	return decodeBegin(v)
}

// decodeBegin decodes the reply of begin.lua.
func decodeBegin(v []any) (record, error) {
	if len(v) == 0 {
		return record{}, errReply
	}
	switch code, _ := v[0].(int64); {
	case code == 1 && len(v) == 2:
		n, _ := v[1].(int64)
		if n < 1 {
			return record{}, fmt.Errorf("%w: attempt %d", errReply, n)
		}
		return record{state: stateBegun, mine: true, attempt: int(n)}, nil
	case code == -1 && len(v) == 1:
		return record{state: stateStale}, nil
	case code == 0 && len(v) == 4:
		return decodeRecord(v[1], v[2], v[3])
	}
	return record{}, errReply
}

// confirm waits until replicas have a record that was begun, whose TTL is written
// again behind it.
func (s *store) confirm(ctx context.Context, id string, ttl time.Duration, r bounded.Replicas) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout+r.Patience)
	defer cancel()
	return s.caller.Confirm(ctx, []string{id}, func(p redis.Pipeliner, key string) { p.PExpire(ctx, key, ttl) }, r)
}

// forgetFor is how long it is remembered that a request was forgotten, longer
// than a begin may be on its way.
const forgetFor = 10 * time.Minute

// end records how an attempt ended. It reports false if another has begun
// since.
func (s *store) end(ctx context.Context, h holder, to state, result []byte) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	code, err := s.caller.Run(ctx, s.ends, []string{h.id}, h.args(string(to), result, forgetFor.Milliseconds())...).Int64()
	return code == 1, err
}
