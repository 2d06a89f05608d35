package ratelimit

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redishttp/redishttp/internal/setting"
)

// policy is a checked limit with everything that does not change between requests.
type policy struct {
	Limit               // its Name is set
	units  units        // of the bucket; of a window they are used without Redis only
	local  units        // this instance's share of it
	args   [4]any       // kind, a, b, c of decide.lua
	cell   [4]any       // token, drain, capacity, token of cell.lua
	header policyHeader // of the RateLimit fields
}

// validName matches the names of limits and limiters: they are part of Redis keys and
// of headers, so they have neither braces nor quotes.
var validName = regexp.MustCompile(`^[A-Za-z0-9._:*/-]{1,64}$`)

// compile checks a limit; the reason says what is wrong with it. part is the part
// of the limit that this instance allows on its own.
func compile(l Limit, part float64) (p policy, reason string) {
	p = policy{Limit: l}
	if p.units, reason = unitsOf(l.Limit); reason != "" {
		return p, reason
	}
	if p.Name = l.name(); !validName.MatchString(p.Name) {
		return p, "name does not match [A-Za-z0-9._:*/-]{1,64}"
	}
	p.local = shareOf(l.Limit, part)
	text := func(n int64) any { return strconv.FormatInt(n, 10) }
	u := p.units
	p.cell = [4]any{text(u.token), text(u.drain), text(u.capacity()), text(u.token)}
	switch l.kind {
	case bucket:
		p.args = [4]any{"g", text(u.token), text(u.drain), text(u.burst)}
	case window:
		slot := l.Period.Microseconds() / windowSlots
		if slot*windowSlots != l.Period.Microseconds() {
			slot++ // longer, never shorter
		}
		p.args = [4]any{"w", text(int64(l.Rate)), text(slot), text(windowSlots)}
	case concurrency:
		p.args = [4]any{"c", text(int64(l.Rate)), text(lease.Microseconds()), text(0)}
	}
	p.header = headerOf(p.Limit)
	return p, ""
}

// policies is a set of limits that is decided together.
type policies struct {
	all        []policy
	id         string // tells sets apart in this process
	concurrent int    // index of the concurrency policy, -1 without one
	counts     bool   // there is a bucket or a window
	together   bool   // they are fields of one key of the client, not each a key
}

// single returns the policy of a set that is one bucket and nothing else, the
// usual case, for which cell.lua exists. It returns nil for other sets.
func (s *policies) single() *policy {
	if len(s.all) == 1 && s.all[0].kind == bucket {
		return &s.all[0]
	}
	return nil
}

// compileAll checks limits that are decided together. The error has every mistake.
// Names must differ, because they are part of the keys.
func compileAll(limits []Limit, part float64) (*policies, error) {
	s := &policies{concurrent: -1}
	var errs []error
	ids := make([]string, 0, len(limits))
	for i, l := range limits {
		p, reason := compile(l, part)
		switch {
		case reason != "":
		case slices.Contains(ids, p.Name):
			reason = fmt.Sprintf("two limits are named %q", p.Name)
		case l.kind == concurrency && s.concurrent >= 0:
			reason = "two limits of concurrency"
		}
		if reason != "" {
			errs = append(errs, &setting.Error{Package: "ratelimit", Option: "limit", Reason: reason})
			continue
		}
		if l.kind == concurrency {
			s.concurrent = i
		}
		s.counts = s.counts || l.kind != concurrency
		ids = append(ids, p.Name)
		s.all = append(s.all, p)
	}
	s.id = strings.Join(ids, ",")
	return s, errors.Join(errs...)
}

// maxSets bounds how many sets of limits [WithLimitsFunc] may use. It is far
// above the number of tiers of any service, and keeps limits that are made of client
// data from filling the memory.
const maxSets = 1024

// sets keeps the limits that [WithLimitsFunc] has returned, compiled.
type sets struct {
	together bool // as of each of them
	mu       sync.RWMutex
	known    map[string]*policies
}

// all returns the sets that were used so far.
func (s *sets) all() []*policies {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Values(s.known))
}

// of returns limits compiled, each different set once. It fails for mistakes in
// the limits, and for more than maxSets different sets.
func (s *sets) of(limits []Limit, part float64) (*policies, error) {
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
	set, err := compileAll(limits, part)
	if err != nil {
		return nil, err
	}
	set.id, set.together = id, s.together
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
