package idempotency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New].
type OptionError struct{ Option, Reason string }

func (e *OptionError) Error() string { return "idempotency: " + e.Option + ": " + e.Reason }

// Hooks observe a [Keeper]. Any may be nil; they must not block.
type Hooks struct {
	// Ran is called when an attempt is over and that is recorded, with what a
	// retry will find.
	Ran func(ctx context.Context, a Attempt, o Outcome)
	// Replayed is called when a retry gets what was kept.
	Replayed func(ctx context.Context)
	// Refused is called when a request is neither run nor replayed.
	Refused func(ctx context.Context, reason Reason)
	// Failed is called when Redis does not answer, when the end of an attempt
	// could not be recorded, when what was kept cannot be read, and with the
	// error of a [ScopeFunc].
	Failed func(ctx context.Context, err error)
}

// FingerprintFunc returns what must be the same in each request with one key,
// beside method and path, which always must. Only its hash is stored. body is
// the whole body and must not be changed.
type FingerprintFunc func(r *http.Request, body []byte) []byte

type config struct {
	prefix, name string
	ttl, timeout time.Duration
	required     bool
	methods      []string
	maxRequest   int64
	maxResponse  int64
	rerun        bool
	cancellation bool
	keep         func(status int) bool
	fingerprint  FingerprintFunc
	waitReplicas int
	waitTimeout  time.Duration
	docs         string
	deny         http.Handler
	hooks        Hooks
	logger       *slog.Logger
}

// WithName tells keepers apart that share a Redis; those of one name share
// their records. It matches [A-Za-z0-9._-]{1,64}. The default is "default".
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithKeyPrefix sets the first part of every key. The default is
// "idempotency".
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithTTL is how long a key is remembered after its request: within it retries
// are answered and never run again, after it the key is new. Publish it to
// clients (section 2.3 of the draft). The default is 24h.
func WithTTL(d time.Duration) Option { return optionFunc(func(c *config) { c.ttl = d }) }

// WithTimeout bounds each call to Redis; calls of the lock are bounded by
// [lockmw.WithTimeout]. What was answered is tried to be recorded for four
// times as long before the client gets it. The default is 250ms.
func WithTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.timeout = d }) }

// WithRequired(false) lets requests without a key pass, unguarded. The default
// is true: 400.
func WithRequired(on bool) Option { return optionFunc(func(c *config) { c.required = on }) }

// WithMethods sets which methods are covered, in upper case as HTTP spells them;
// others pass. The default is POST and PATCH, those that HTTP does not define as
// idempotent.
func WithMethods(methods ...string) Option {
	return optionFunc(func(c *config) { c.methods = methods })
}

// WithMaxRequestBody bounds the body of a covered request, which is read into
// memory; a longer one is answered 413. The default is 1 MiB.
func WithMaxRequestBody(bytes int64) Option {
	return optionFunc(func(c *config) { c.maxRequest = bytes })
}

// WithMaxResponseBody bounds the body of a response that is kept. A longer one
// is streamed to the client and a retry is told that it is not kept. With 0 no
// body is kept and every one is streamed. The default is 1 MiB.
func WithMaxResponseBody(bytes int64) Option {
	return optionFunc(func(c *config) { c.maxResponse = bytes })
}

// WithRerun(true) runs a request again whose outcome is unknown, one attempt
// at a time. The handler must be safe for that: [FromContext] has the number of
// the attempt and a fence to give to what it writes to. The default is false:
// 409.
func WithRerun(on bool) Option { return optionFunc(func(c *config) { c.rerun = on }) }

// WithCancellation(true) ends the context of a handler when its client hangs
// up. The default is false: the client's retry is to find the result, so what
// was begun goes on, unless it streams already and no retry can find it.
func WithCancellation(on bool) Option { return optionFunc(func(c *config) { c.cancellation = on }) }

// WithKeep says by its status whether a response is kept. One that is not is
// sent, and a retry runs again: nothing must have come of it. The default
// keeps all, also errors, whose effects nobody knows.
func WithKeep(keep func(status int) bool) Option {
	return optionFunc(func(c *config) { c.keep = keep })
}

// WithFingerprint says what makes two requests with one key the same. The
// default is the query, the Content-Type and the body.
func WithFingerprint(f FingerprintFunc) Option {
	return optionFunc(func(c *config) { c.fingerprint = f })
}

// WithWaitReplicas has a handler run only when n replicas have confirmed within
// timeout that its key is in use; otherwise the request is answered 503.
// Replication is asynchronous: without it a failover right after the beginning
// can lose the record, and a retry runs again. It costs a round trip and the
// replication's. The default is 0, not to wait.
func WithWaitReplicas(n int, timeout time.Duration) Option {
	return optionFunc(func(c *config) { c.waitReplicas, c.waitTimeout = n, timeout })
}

// WithDocs sets the URL of your API's documentation (section 2.7 of the draft):
// a problem's type is it, with the [Reason] as fragment. The default is this
// package's page.
func WithDocs(url string) Option { return optionFunc(func(c *config) { c.docs = url }) }

// WithDenyHandler writes the answers to refused requests. Retry-After is set
// already; [RefusalFromContext] has the reason and the status. The default is
// application/problem+json.
func WithDenyHandler(h http.Handler) Option { return optionFunc(func(c *config) { c.deny = h }) }

// WithHooks sets the observers. The default is none.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger. The default discards.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

const defaultDocs = "https://github.com/redishttp/redishttp/blob/main/docs/idempotency.md"

func defaults() config {
	return config{prefix: "idempotency", name: "default", ttl: 24 * time.Hour, timeout: 250 * time.Millisecond, required: true,
		methods: []string{http.MethodPost, http.MethodPatch}, maxRequest: 1 << 20, maxResponse: 1 << 20, keep: func(int) bool { return true },
		fingerprint: payload, docs: defaultDocs, logger: slog.New(slog.DiscardHandler)}
}

var validName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

const maxBody = 64 << 20 // Redis sends a record in one piece

func (c *config) validate(hasLocks, hasClient, hasScope bool) error {
	var errs []error
	check := func(ok bool, option, reason string) {
		if !ok {
			errs = append(errs, &OptionError{Option: option, Reason: reason})
		}
	}
	docs, err := url.Parse(c.docs)
	check(hasLocks, "locks", "is nil")
	check(hasClient, "rdb", "is nil")
	check(hasScope, "scope", "is nil: it must name the user, or be DangerouslyUnscoped")
	check(validName.MatchString(c.name), "WithName", "does not match [A-Za-z0-9._-]{1,64}")
	check(c.prefix != "" && !strings.ContainsAny(c.prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check(c.ttl >= time.Second, "WithTTL", fmt.Sprintf("%v is below 1s", c.ttl))
	check(c.timeout > 0 && c.timeout <= time.Minute, "WithTimeout", fmt.Sprintf("%v is not within 0 and 1m", c.timeout))
	check(len(c.methods) > 0 && !slices.ContainsFunc(c.methods, misspelled), "WithMethods", fmt.Sprintf("%q is empty or has a method that is not of upper-case letters: methods are compared as they are", c.methods))
	check(c.maxRequest >= 0 && c.maxRequest <= maxBody, "WithMaxRequestBody", fmt.Sprintf("%d is not within 0 and %d", c.maxRequest, maxBody))
	check(c.maxResponse >= 0 && c.maxResponse <= maxBody, "WithMaxResponseBody", fmt.Sprintf("%d is not within 0 and %d", c.maxResponse, maxBody))
	check(c.keep != nil, "WithKeep", "is nil")
	check(c.fingerprint != nil, "WithFingerprint", "is nil")
	check(c.waitReplicas == 0 || c.waitReplicas > 0 && c.waitTimeout >= time.Millisecond, "WithWaitReplicas", fmt.Sprintf("%d within %v: neither is to be below 0, and the time not below 1ms", c.waitReplicas, c.waitTimeout))
	check(err == nil && docs.IsAbs() && docs.Fragment == "" && docs.Host+docs.Opaque != "", "WithDocs", "is not an absolute URL without a fragment")
	check(c.deny == nil || !nilValue(c.deny), "WithDenyHandler", fmt.Sprintf("is a nil %T", c.deny))
	check(c.logger != nil, "WithLogger", "is nil")
	return errors.Join(errs...)
}

// misspelled reports whether a method would match no request that is meant.
func misspelled(method string) bool {
	return method == "" || strings.ContainsFunc(method, func(c rune) bool { return (c < 'A' || c > 'Z') && c != '-' })
}

// nilValue reports whether v holds a nil function or pointer.
func nilValue(v any) bool {
	value := reflect.ValueOf(v)
	return (value.Kind() == reflect.Func || value.Kind() == reflect.Pointer) && value.IsNil()
}
