package cache

import (
	"net/http"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// exchange is one request in the cache, from its look-up to its response.
type exchange struct {
	c    *Cache
	w    http.ResponseWriter
	r    *http.Request // as the cache reads it, see [Cache.annotate]
	next http.Handler
	// owner is the handler whose look-up may have been prefetched, nil for none.
	owner *handler
	d     rules.Control // what the request demands
	f     store.Found   // what the store has
	s     Status        // what was done
	// lead is the flight that this exchange makes the response for, nil if no
	// request waits for it.
	lead *leading
}
