package ratelimit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// maxSets bounds how many sets of limits [WithLimitsFunc] may use; it is far
// above the tiers of any service, and keeps limits made of client data from
// filling the memory.
const maxSets = 1024

// policies is a set that is decided together.
type policies struct {
	all        []policy
	id         string // tells sets apart in this process
	concurrent int    // index of the concurrency policy, -1 without
	counts     bool   // there is more than the concurrency policy
}

func compileAll(limits []Limit, share float64) (*policies, error) {
	s := &policies{concurrent: -1}
	var errs []error
	names := map[string]bool{}
	ids := make([]string, 0, len(limits))
	for i, l := range limits {
		p, reason := compile(l, share)
		switch {
		case reason != "":
		case names[p.Name]:
			reason = fmt.Sprintf("two limits are named %q", p.Name)
		case l.kind == concurrency && s.concurrent >= 0:
			reason = "two limits of concurrency"
		}
		if reason != "" {
			errs = append(errs, &OptionError{Option: "limit", Reason: reason})
			continue
		}
		if l.kind == concurrency {
			s.concurrent = i
		}
		s.counts = s.counts || l.kind != concurrency
		names[p.Name] = true
		ids = append(ids, p.Name)
		s.all = append(s.all, p)
	}
	s.id = strings.Join(ids, ",")
	return s, errors.Join(errs...)
}

// sets keeps what [WithLimitsFunc] returned before, compiled.
type sets struct {
	mu    sync.RWMutex
	known map[string]*policies
}

// all are those that were used so far.
func (s *sets) all() []*policies {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Values(s.known))
}

// of compiles limits once. It fails for limits that are wrong, and for more
// different ones than any service has.
func (s *sets) of(limits []Limit, share float64) (*policies, error) {
	var b strings.Builder
	for _, l := range limits {
		fmt.Fprintf(&b, "%d/%d/%d/%d/%s,", l.kind, l.Rate, l.Burst, l.Period, l.Name)
	}
	id := b.String()
	s.mu.RLock()
	set := s.known[id]
	s.mu.RUnlock()
	if set != nil {
		return set, nil
	}
	set, err := compileAll(limits, share)
	if err != nil {
		return nil, err
	}
	set.id = id
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxSets {
		return nil, fmt.Errorf("ratelimit: more than %d different sets of limits: are they made of what clients send?", maxSets)
	}
	if s.known == nil {
		s.known = map[string]*policies{}
	}
	s.known[id] = set
	return set, nil
}
