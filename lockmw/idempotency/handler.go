package idempotency

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
)

// Handler runs next once for each key of each user, and sends its response to
// retries. Requests with methods that are not covered are forwarded. The
// response is held back until it is recorded; the table of responses is in the
// package's documentation. A panic of next continues, and leaves the outcome
// unknown.
//
// A retry costs one round trip, a first request five and those of
// [WithWaitReplicas]. While Redis is unavailable requests get 503 and next does
// not run. The body is read before next runs, which gets it again. Put
// authentication outside, for the [ScopeFunc]; a handler that is wrapped twice
// gets 500.
func (k *Keeper) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(k.methods, r.Method) {
			next.ServeHTTP(w, r)
			return
		}
		key, reason := keyOf(r.Header)
		if reason == reasonMissing && !k.required {
			next.ServeHTTP(w, r)
			return
		}
		if reason != "" {
			k.reject(w, r, reason)
			return
		}
		body, reason := k.read(w, r)
		if reason != "" {
			k.reject(w, r, reason)
			return
		}
		scope, err := k.scope(withBody(r.Context(), r, body))
		if err != nil || scope == "" {
			k.misused(r.Context(), "no scope for a request", err)
			k.reject(w, r, reasonNoScope)
			return
		}
		if r.Context().Err() != nil {
			return // the client is gone, and nothing has begun
		}
		run, kept, err := k.Begin(context.WithoutCancel(r.Context()), k.operation(r, scope, key, body))
		switch {
		case err != nil:
			k.respond(w, r, reasonOf(err))
		case run == nil:
			k.replay(w, r, kept)
		default:
			k.serve(w, withBody(r.Context(), r, body), next, run)
		}
	})
}

// read returns the whole body, which next gets again.
func (k *Keeper) read(w http.ResponseWriter, r *http.Request) ([]byte, string) {
	if r.ContentLength > k.maxRequest {
		return nil, reasonTooLarge
	}
	if r.Body == nil {
		return nil, ""
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, k.maxRequest))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, reasonTooLarge
	case err != nil:
		return nil, reasonMalformed
	case len(body) == 0 && r.ContentLength > 0 && !formRead(r):
		k.misused(r.Context(), "the body of a request was already read by an outer middleware", nil)
		return nil, reasonMisused // any two payloads would be the same
	}
	return body, ""
}

// formRead reports whether the body is there as a form, without files.
func formRead(r *http.Request) bool {
	return r.PostForm != nil && (r.MultipartForm == nil || len(r.MultipartForm.File) == 0)
}

// withBody returns the request with another context and its body as if it had
// not been read.
func withBody(ctx context.Context, r *http.Request, body []byte) *http.Request {
	again := r.WithContext(ctx)
	again.Body, again.ContentLength, again.TransferEncoding = http.NoBody, int64(len(body)), nil
	if len(body) > 0 {
		again.Body = io.NopCloser(bytes.NewReader(body))
	}
	return again
}

// misused reports a mistake in the program.
func (k *Keeper) misused(ctx context.Context, how string, err error) {
	k.failed(ctx, errors.Join(errors.New("idempotency: "+how), err))
	k.logger.LogAttrs(ctx, slog.LevelError, how) // without err, which may name a user
}

// serve runs next and records its response before it is sent.
func (k *Keeper) serve(w http.ResponseWriter, r *http.Request, next http.Handler, run *Run) {
	defer run.Release() // on a panic as well: then the outcome is unknown
	ctx, cancel := context.WithCancelCause(run.Context())
	defer cancel(nil)
	c := newRecorder(w, r, k.maxResponse)
	c.ctx = ctx
	stop := func() bool { return false }
	defer func() { stop() }()
	c.streams = sync.OnceFunc(func() { // for this client alone
		stop = context.AfterFunc(r.Context(), func() { cancel(context.Cause(r.Context())) })
	})
	if k.cancellation {
		c.streams()
	}
	next.ServeHTTP(c.offered(), r.WithContext(ctx))
	err := k.conclude(ctx, run, c)
	if errors.Is(err, ErrSuperseded) && !c.streaming {
		restore(w.Header(), c.before)
		k.superseded(w, r, run)
		return
	}
	c.send() // also if it could not be recorded: it is what happened
}

// conclude records what has become of a run.
func (k *Keeper) conclude(ctx context.Context, run *Run, c *recorder) error {
	kept, problem := c.whole()
	switch {
	case run.forget.Load(), !k.keep(c.final()):
		return run.Forget()
	case ctx.Err() != nil && (c.status == 0 || c.status >= 400 || c.streaming):
		return nil // it gave up where it was: its outcome is unknown
	case problem != nil:
		return run.Spend()
	}
	return run.Keep(kept.encode())
}

// superseded responds as the attempt does that began after this one lost its
// lock: the client gets what its retries get.
func (k *Keeper) superseded(w http.ResponseWriter, r *http.Request, run *Run) {
	rec, err := k.store.look(context.WithoutCancel(r.Context()), run.id)
	var kept []byte
	if err == nil {
		kept, err = rec.verdict(run.op)
	}
	switch {
	case err != nil:
		k.reject(w, r, reasonOf(err))
	case rec.state == stateKept:
		k.replay(w, r, kept)
	default:
		k.reject(w, r, reasonBusy)
	}
}

// replay sends what was kept.
func (k *Keeper) replay(w http.ResponseWriter, r *http.Request, kept []byte) {
	p, err := decodeResponse(kept)
	if err != nil {
		k.failed(r.Context(), err)
		k.reject(w, r, reasonResponseNotKept)
		return
	}
	h := w.Header()
	p.apply(h)
	h[replayedName] = []string{"true"}
	w.WriteHeader(p.status)
	if len(p.body) > 0 {
		_, _ = w.Write(p.body)
	}
}
