package idempotency

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/setting"
)

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New]. Its fields Option and
// Reason say where and what. It is the same type in all packages of this
// module; find it with [errors.As].
type OptionError = setting.Error

// Hooks observe a [Keeper], for metrics and alarms; see [WithHooks]. Any may be
// nil. They run on the goroutine of the request, or of the background that
// records its end, and must not block.
type Hooks struct {
	// Ran is called when an attempt is over and that is recorded, with what a
	// retry will find: "kept", it gets the result; "not-kept", it is refused, because
	// the operation was done; "forgotten", it runs, because nothing came of the
	// operation; or "unknown", it is refused, or runs with [WithRerun].
	Ran func(ctx context.Context, a Attempt, outcome string)
	// Replayed is called when a retry gets what was kept.
	Replayed func(ctx context.Context)
	// Refused is called when a request is neither run nor replayed, with the reason
	// as in [Refusal].
	Refused func(ctx context.Context, reason string)
	// Failed is called when Redis does not reply, when the end of an attempt
	// could not be recorded, when what was kept cannot be decoded, and with the
	// error of a [ScopeFunc].
	Failed func(ctx context.Context, err error)
}

// FingerprintFunc returns what must be the same in each request with one key,
// beside method and path, which always must. Only its hash is stored. body is
// the whole body and must not be changed. See [WithFingerprint].
type FingerprintFunc func(r *http.Request, body []byte) []byte

// config is what the options record; validate checks it.
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
// their records. It matches [A-Za-z0-9._-]{1,64}. The default is "default". Use
// it for services whose paths mean different things.
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithKeyPrefix sets the first part of every Redis key: <prefix>:v1:<name>:….
// The default is "idempotency"; it must not be empty or have braces. Use it to
// match the key patterns of an ACL.
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithTTL sets how long a key is remembered after its request: within it a
// retry gets the response and never runs again, after it the key is new. The
// default is 24h; less than 1s is a mistake. Publish it to clients (section 2.3
// of the draft), and set it to longer than they retry.
func WithTTL(d time.Duration) Option { return optionFunc(func(c *config) { c.ttl = d }) }

// WithTimeout sets the deadline of each call to Redis; calls of the lock have
// that of [lockmw.WithTimeout]. Recording a response is tried for four times as
// long before the client gets it. The default is 250ms, at most 1m; 0 and less
// are mistakes. Raise it where Redis is far away.
func WithTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.timeout = d }) }

// WithRequired sets whether a request without a key is rejected with 400. The
// default is true; with false it is forwarded, and each retry runs. Use false
// while clients do not all send keys.
func WithRequired(on bool) Option { return optionFunc(func(c *config) { c.required = on }) }

// WithMethods sets which methods are covered, in upper case as HTTP spells
// them; others are forwarded. The default is POST and PATCH, those that HTTP
// does not define as idempotent (RFC 9110, section 9.2.2). No method, and one
// that is not of upper-case letters, are mistakes. Add PUT and DELETE where
// their handlers have effects beside the resource, such as an e-mail.
func WithMethods(methods ...string) Option {
	return optionFunc(func(c *config) { c.methods = methods })
}

// WithMaxRequestBody limits the body of a covered request, in bytes, because it
// is read into memory; a longer one gets 413. The default is 1 MiB, the maximum
// 64 MiB; with 0 a body must be empty, and less is a mistake.
func WithMaxRequestBody(bytes int64) Option {
	return optionFunc(func(c *config) { c.maxRequest = bytes })
}

// WithMaxResponseBody limits the body of a response that is kept, in bytes. A
// longer one is streamed to the client, and a retry gets 409: its response was
// not kept. With 0 no body is kept and every one is streamed. The default is 1
// MiB, the maximum 64 MiB; less than 0 is a mistake. Redis stores each for
// [WithTTL], so keep it small.
func WithMaxResponseBody(bytes int64) Option {
	return optionFunc(func(c *config) { c.maxResponse = bytes })
}

// WithRerun sets whether a request whose outcome is unknown runs again, one
// attempt at a time. The default is false: it gets 409. The handler must be
// safe for that: [FromContext] has the number of the attempt and a fence to
// give to what it writes to. Use it where the handler can find out what the
// attempt before has done.
func WithRerun(on bool) Option { return optionFunc(func(c *config) { c.rerun = on }) }

// WithCancellation sets whether the context of a handler ends when its client
// disconnects. The default is false: a retry of the client finds the result, so
// the handler runs on, unless it already streams and no retry can find it. Use
// it for handlers that are expensive and undo their work when they are
// cancelled.
func WithCancellation(on bool) Option { return optionFunc(func(c *config) { c.cancellation = on }) }

// WithKeepStatus sets which responses are kept, by their status. One that is
// not kept is sent, and a retry runs again: the handler must have had no
// effect. The default keeps all, also errors, as their effects are not known;
// nil is a mistake. Use it where a status, such as 400 or 429, always means
// that nothing happened.
func WithKeepStatus(keep func(status int) bool) Option {
	return optionFunc(func(c *config) { c.keep = keep })
}

// WithFingerprint sets what makes two requests with one key the same. The
// default is the query, the Content-Type and the body; nil is a mistake. Use it
// where a retry may differ, as in the order of JSON fields or a time stamp.
func WithFingerprint(f FingerprintFunc) Option {
	return optionFunc(func(c *config) { c.fingerprint = f })
}

// WithWaitReplicas has a handler run only when n replicas have confirmed within
// timeout that its key is in use; otherwise the request gets 503. Replication
// is asynchronous: without it a failover right after the beginning can lose the
// record, and a retry runs again. It costs a round trip and the replication's.
// The default is 0, not to wait; less than 0, and a timeout below 1ms, are
// mistakes. Use it for payments and the like.
func WithWaitReplicas(n int, timeout time.Duration) Option {
	return optionFunc(func(c *config) { c.waitReplicas, c.waitTimeout = n, timeout })
}

// WithDocs sets the URL of your API's documentation (section 2.7 of the draft):
// it is the type of a problem, with [Refusal.Reason] as fragment. The default is
// this package's page. It must be absolute and without a fragment. Use it to
// explain the errors to your clients.
func WithDocs(url string) Option { return optionFunc(func(c *config) { c.docs = url }) }

// WithDenyHandler sets the response to rejected requests. Retry-After and
// Cache-Control are set before; [RefusalFromContext] has the reason. What the handler
// writes without a status has that of the default response, which is
// application/problem+json.
func WithDenyHandler(h http.Handler) Option { return optionFunc(func(c *config) { c.deny = h }) }

// WithHooks sets functions that are called for each attempt, replay, refusal
// and failure, for metrics and alarms. The default is none; the last WithHooks
// replaces those before.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger. It gets mistakes in the program, such as a
// request without a scope, and outcomes that could not be recorded. The default
// discards; nil is a mistake.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

const defaultDocs = "https://github.com/redishttp/redishttp/blob/main/docs/idempotency.md"

func defaults() config {
	return config{
		prefix: "idempotency", name: "default", ttl: 24 * time.Hour, timeout: 250 * time.Millisecond, required: true,
		methods: []string{http.MethodPost, http.MethodPatch}, maxRequest: 1 << 20, maxResponse: 1 << 20, keep: func(int) bool { return true },
		fingerprint: payload, docs: defaultDocs, logger: slog.New(slog.DiscardHandler),
	}
}

const maxBody = 64 << 20 // Redis sends a record in one piece

func (c *config) validate(hasLocks, hasClient, hasScope bool) error {
	check := &setting.Check{Package: "idempotency"}
	docs, err := url.Parse(c.docs)
	check.That(hasLocks, "locks", "is nil")
	check.That(hasClient, "rdb", "is nil")
	check.That(hasScope, "scope", "is nil: it must name the user, or be DangerouslyUnscoped")
	check.Name("WithName", c.name)
	check.That(c.prefix != "" && !strings.ContainsAny(c.prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check.That(c.ttl >= time.Second, "WithTTL", "%v is below 1s", c.ttl)
	check.That(c.timeout > 0 && c.timeout <= time.Minute, "WithTimeout", "%v is not within 0 and 1m", c.timeout)
	check.That(len(c.methods) > 0 && !slices.ContainsFunc(c.methods, misspelled), "WithMethods", "%q is empty or has a method that is not of upper-case letters: methods are compared as they are", c.methods)
	check.That(c.maxRequest >= 0 && c.maxRequest <= maxBody, "WithMaxRequestBody", "%d is not within 0 and %d", c.maxRequest, maxBody)
	check.That(c.maxResponse >= 0 && c.maxResponse <= maxBody, "WithMaxResponseBody", "%d is not within 0 and %d", c.maxResponse, maxBody)
	check.That(c.keep != nil, "WithKeepStatus", "is nil")
	check.That(c.fingerprint != nil, "WithFingerprint", "is nil")
	check.That(c.waitReplicas == 0 || c.waitReplicas > 0 && c.waitTimeout >= time.Millisecond, "WithWaitReplicas", "%d within %v: neither is to be below 0, and the time not below 1ms", c.waitReplicas, c.waitTimeout)
	check.That(err == nil && docs.IsAbs() && docs.Fragment == "" && docs.Host+docs.Opaque != "", "WithDocs", "is not an absolute URL without a fragment")
	check.That(c.deny == nil || !bounded.IsNil(c.deny), "WithDenyHandler", "is a nil %T", c.deny)
	check.That(c.logger != nil, "WithLogger", "is nil")
	return check.Err()
}

// misspelled reports whether a method would match no request that is meant.
func misspelled(method string) bool {
	return method == "" || strings.ContainsFunc(method, func(c rune) bool { return (c < 'A' || c > 'Z') && c != '-' })
}
