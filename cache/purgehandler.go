package cache

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
)

// PurgeRequest is the body of a request to [Cache.PurgeHandler]: URLs, Tags or
// both, as for [Cache.Purge] and [Cache.PurgeTags], or All alone.
//
//	{"urls":["https://example.com/products/7"],"tags":["product-7"],"soft":true}
type PurgeRequest struct {
	URLs []string `json:"urls,omitempty"`
	Tags []string `json:"tags,omitempty"`
	All  bool     `json:"all,omitempty"`
	Soft bool     `json:"soft,omitempty"` // stale instead of invalidated; not with All
}

const maxPurgeBody = 1 << 20

// PurgeHandler returns a handler that purges on request: POST with a
// [PurgeRequest] as JSON, of at most 1 MiB. It responds with 204 when it is
// done, 403 when authorize returns an error, 400 for a body that is not a
// PurgeRequest, 405 for other methods, and 503 with Retry-After when the purge
// fails; Hooks.Failed has its error.
//
// authorize must not be nil, or the error is an [*OptionError]: an open purge
// endpoint lets attackers overload the origin. Protect it like any unsafe route
// against forged requests if authorize relies on cookies. Use it for services
// that are not written in Go, such as a content management system.
func (c *Cache) PurgeHandler(authorize func(*http.Request) error) (http.Handler, error) {
	if authorize == nil {
		return nil, &OptionError{Package: "cache", Option: "PurgeHandler", Reason: "authorize is nil"}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		if err := authorize(r); err != nil {
			http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
			return
		}
		var p PurgeRequest
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPurgeBody))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&p); err != nil || p.All && (p.Soft || len(p.URLs)+len(p.Tags) > 0) || !p.All && len(p.URLs)+len(p.Tags) == 0 {
			http.Error(w, "not a purge request", http.StatusBadRequest)
			return
		}
		switch err := c.purgeRequest(r, p); {
		case errors.Is(err, cachekey.ErrURL):
			http.Error(w, cachekey.ErrURL.Error(), http.StatusBadRequest)
		case err != nil:
			c.failed(r.Context(), err)
			w.Header().Set("Retry-After", "1")
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}), nil
}

// purgeRequest does what a request demands.
func (c *Cache) purgeRequest(r *http.Request, p PurgeRequest) error {
	ctx := r.Context()
	switch {
	case p.All:
		return c.PurgeAll(ctx)
	case p.Soft:
		return errors.Join(c.SoftPurge(ctx, p.URLs...), c.SoftPurgeTags(ctx, p.Tags...))
	}
	return errors.Join(c.Purge(ctx, p.URLs...), c.PurgeTags(ctx, p.Tags...))
}
