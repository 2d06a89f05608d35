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
	"github.com/redishttp/redishttp/internal/unavailable"
	"github.com/redishttp/redishttp/lockmw"
)

var (
	//go:embed begin.lua
	beginSource string
	//go:embed renew.lua
	renewSource string
	//go:embed finish.lua
	finishSource string
	//go:embed misfire.lua
	misfireSource string
)

// Client is what a [Runner] needs of a go-redis client: *redis.Client,
// *redis.ClusterClient, *redis.Ring and redis.UniversalClient have it. The Runner
// never closes it.
type Client interface {
	redis.Scripter
	Process(ctx context.Context, cmd redis.Cmder) error
}

// ErrUnavailable is returned when Redis does not reply within [WithTimeout],
// cannot be reached or cannot serve now. Nothing was begun, or what was begun
// ends with its lease. It is the ErrUnavailable of every package of this
// module.
var ErrUnavailable = unavailable.Err

// Runner decides about the jobs of one instance. Each instance has one, with
// the same jobs. It is safe for concurrent use; close it at the end of the
// program.
type Runner struct {
	config
	caller   *bounded.Caller
	begin    *redis.Script
	renew    *redis.Script
	finish   *redis.Script
	misfired *redis.Script
	instance string // 128 random bits; owners are instance:counter
	counter  atomic.Uint64

	mu      sync.Mutex
	names   map[string]bool // keys of the jobs there are
	closed  bool
	closing chan struct{}   // closed when Close is called
	calls   sync.WaitGroup  // of Job.Run
	running atomic.Int64    // jobs
	base    context.Context // of runs; ends with Close
	cancel  context.CancelCauseFunc
}

// New returns a Runner over rdb: the client of package connect, or any go-redis
// client. It does not dial and starts no goroutine, so it succeeds while Redis
// is down. All mistakes are reported at once, as joined [*OptionError]. The
// options are the defaults of its jobs.
func New(rdb Client, opts ...Option) (*Runner, error) {
	r := &Runner{
		config: defaults(), instance: rand.Text(),
		begin: redis.NewScriptServerSHA(beginSource), renew: redis.NewScriptServerSHA(renewSource), finish: redis.NewScriptServerSHA(finishSource), misfired: redis.NewScriptServerSHA(misfireSource),
		closing: make(chan struct{}), names: map[string]bool{},
	}
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

// Job returns a job, which instances know by its name; Redis gets its hash. The
// options change the runner's for it. It calls nothing and does not ask Redis:
// a scheduler calls the job.
//
// Of a name there can be one job in a Runner, because of two each tick would
// run only one. All mistakes are reported at once, as joined [*OptionError]: an
// empty name, one in use, and a nil fn among them. A fn that panics has failed;
// the panic continues.
func (r *Runner) Job(name string, fn func(ctx context.Context) error, opts ...Option) (*Job, error) {
	j, err := r.newJob(name, fn, opts)
	if err != nil {
		return nil, err
	}
	if err := r.register(j); err != nil {
		return nil, err
	}
	return j, nil
}

// newJob returns a job that is not registered yet.
func (r *Runner) newJob(name string, fn func(ctx context.Context) error, opts []Option) (*Job, error) {
	j := &Job{r: r, name: name, fn: fn, config: r.config}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&j.config)
		}
	}
	err := j.validate(true)
	if name == "" {
		err = errors.Join(err, &OptionError{Package: "cronlock", Option: "name", Reason: "is empty"})
	}
	if fn == nil {
		err = errors.Join(err, &OptionError{Package: "cronlock", Option: "fn", Reason: "is nil"})
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(name))
	j.key = j.prefix + ":v1:" + j.config.name + ":{" + hex.EncodeToString(sum[:16]) + "}"
	return j, nil
}

// register rejects a second job of one name.
func (r *Runner) register(j *Job) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names[j.key] {
		return &OptionError{Package: "cronlock", Option: "name", Reason: strconv.Quote(j.name) + " is a job of this runner already"}
	}
	r.names[j.key] = true
	return nil
}

// start counts a call in, unless the runner is closed.
func (r *Runner) start() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.calls.Add(1)
	return true
}

// Close rejects new runs with [lockmw.ErrClosed], ends those that only wait,
// and waits for jobs that run until ctx ends; then their contexts end, and it
// waits for them to return. Call it with a deadline, after the scheduler was
// stopped. The error matches the context's, and says whether jobs were still
// running or Redis did not record their ends. The client stays open.
func (r *Runner) Close(ctx context.Context) error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.closing)
	}
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		r.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
		r.cancel(lockmw.ErrClosed)
		return nil
	case <-ctx.Done():
	}
	why := "Redis did not answer"
	if r.running.Load() > 0 {
		why = "jobs were still running"
	}
	r.cancel(lockmw.ErrClosed)
	<-done
	return fmt.Errorf("cronlock: close: %s: %w", why, context.Cause(ctx))
}

// newOwner returns a name for one call of [Job.Run].
func (r *Runner) newOwner() string {
	return r.instance + ":" + strconv.FormatUint(r.counter.Add(1), 36)
}

func ms(d time.Duration) int64 { return d.Milliseconds() }
