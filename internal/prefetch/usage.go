package prefetch

import (
	"net/http"
	"path"
	"strings"
	"sync/atomic"
)

// Usage learns which kinds of requests use what is prefetched for them, so that
// little is read in vain. Its zero value knows of none and prefetches for all. It
// is safe for concurrent use.
type Usage struct {
	// Used and Unused count the answers that were taken, and those that were not.
	Used, Unused atomic.Int64

	streak  [256]atomic.Int32 // unused answers in a row, by class
	changed [256]atomic.Int32 // requests left without, after one that was changed
}

// maxUnused is how many answers in a row a class of requests may leave unused
// before nothing is prefetched for it, until one of its requests asks by itself.
const maxUnused = 4

// afterChange is for how many requests that ask by themselves nothing is prefetched for
// their class, after a middleware in between had changed what is asked: it is likely to
// do so each time.
const afterChange = 64

// Class is a kind of requests: those of a method, a first segment of the path and
// a file name extension.
type Class uint8

// ClassOf returns the class of a request. Different kinds may share one.
func ClassOf(r *http.Request) Class {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	hash := uint64(offset)
	mix := func(s string) {
		for i := range len(s) {
			hash = (hash ^ uint64(s[i])) * prime
		}
		hash = (hash ^ '/') * prime
	}
	mix(r.Method)
	if r.URL != nil {
		segment := strings.TrimPrefix(r.URL.Path, "/")
		segment, _, _ = strings.Cut(segment, "/")
		mix(segment)
		mix(path.Ext(r.URL.Path))
	}
	return Class(hash ^ hash>>8 ^ hash>>16 ^ hash>>32)
}

// Wanted reports whether requests of a class are likely to use an answer.
func (u *Usage) Wanted(c Class) bool {
	return u.streak[c].Load() < maxUnused && u.changed[c].Load() <= 0
}

// Take counts an answer that was used.
func (u *Usage) Take(c Class) {
	u.Used.Add(1)
	u.Asked(c)
}

// Asked notes that a request of a class has asked by itself.
func (u *Usage) Asked(c Class) {
	if u.streak[c].Load() != 0 {
		u.streak[c].Store(0)
	}
	if u.changed[c].Load() > 0 {
		u.changed[c].Add(-1)
	}
}

// Drop counts an answer that was not used.
func (u *Usage) Drop(c Class) {
	u.Unused.Add(1)
	u.streak[c].Add(1)
}

// Change counts an answer that was not used because the request asks something else
// by now.
func (u *Usage) Change(c Class) {
	u.Unused.Add(1)
	u.changed[c].Store(afterChange)
}
