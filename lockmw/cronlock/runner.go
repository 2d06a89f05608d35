package cronlock

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed" // for the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/lockmw"
)

var (
	//go:embed begin.lua
	beginSource string
	//go:embed renew.lua
	renewSource string
	//go:embed finish.lua
	finishSource string
)

// Client is what a [Runner] needs of a go-redis client; all of them have it.
type Client = bounded.Client

// Runner decides about the jobs of one instance. It is safe for concurrent use;
// Close it.
type Runner struct {
	config
	caller   *bounded.Caller
	begin    *redis.Script
	renew    *redis.Script
	finish   *redis.Script
	instance string // 128 random bits; owners are instance:counter
	counter  atomic.Uint64

	mu     sync.Mutex
	closed bool
	runs   sync.WaitGroup
	base   context.Context // of runs; ends with Close
	cancel context.CancelCauseFunc
}

// New returns a Runner over rdb. It does not dial and starts no goroutine; all
// mistakes are reported at once, as joined [*OptionError]. The options are the
// defaults of its jobs.
func New(rdb Client, opts ...Option) (*Runner, error) {
	r := &Runner{config: defaults(), instance: rand.Text(),
		begin: redis.NewScriptServerSHA(beginSource), renew: redis.NewScriptServerSHA(renewSource), finish: redis.NewScriptServerSHA(finishSource)}
	host, _ := os.Hostname()
	r.host = host + " " + strconv.Itoa(os.Getpid())
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&r.config)
		}
	}
	if err := r.validate(!bounded.IsNil(rdb)); err != nil {
		return nil, err
	}
	r.caller = bounded.New(rdb).Watch(r.logger)
	r.base, r.cancel = context.WithCancelCause(context.Background())
	return r, nil
}

// Job returns a job, which instances know by its name. The options change the
// runner's for it.
func (r *Runner) Job(name string, fn func(ctx context.Context) error, opts ...Option) (*Job, error) {
	j := &Job{r: r, name: name, fn: fn, config: r.config}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&j.config)
		}
	}
	err := j.validate(true)
	if name == "" {
		err = errors.Join(err, &OptionError{Option: "name", Reason: "is empty"})
	}
	if fn == nil {
		err = errors.Join(err, &OptionError{Option: "fn", Reason: "is nil"})
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(name))
	j.key = j.prefix + ":v1:" + j.config.name + ":{" + hex.EncodeToString(sum[:16]) + "}"
	return j, nil
}

// start counts a run in, unless the runner is closed.
func (r *Runner) start() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.runs.Add(1)
	return true
}

// Close refuses new runs and waits for those under way until ctx ends; then
// their contexts end, and it waits for them to return. The client stays open.
func (r *Runner) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		r.runs.Wait()
		close(done)
	}()
	select {
	case <-done:
		r.cancel(lockmw.ErrClosed)
		return nil
	case <-ctx.Done():
		r.cancel(lockmw.ErrClosed)
		<-done
		return fmt.Errorf("cronlock: close: jobs were still running: %w", context.Cause(ctx))
	}
}

func (r *Runner) newOwner() string {
	return r.instance + ":" + strconv.FormatUint(r.counter.Add(1), 36)
}

func ms(d time.Duration) int64 { return d.Milliseconds() }
