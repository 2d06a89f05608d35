package cache

import (
	"cmp"
	"context"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/unavailable"

	_ "embed"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// for the script

//go:embed fill.lua
var fillSource string

var errVary = errors.New("too many selecting headers")

// maxLanguages bounds what a handler can make the store remember of a target.
const maxLanguages = 64

// fill stores an entry, in one round trip, also if the client has gone. Whether it
// still counts is found out by who reads it: a purge since the look-up has a higher
// number. Chunks are there already. It returns ErrVary if too many fields select.
func (s *Store) fill(ctx context.Context, f found, h http.Header, e *entry) error {
	call, ok := s.nodes.Allow(f.log)
	if !ok {
		return unavailable.Err
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.set.WriteTimeout)
	defer cancel()
	err := s.fillNow(bound, f, h, e)
	s.report(ctx, call, err)
	if err == nil {
		s.Counts.Fills.Add(1)
		s.near.forget(f.url)
	}
	return err
}

func (s *Store) fillNow(ctx context.Context, f found, h http.Header, e *entry) error {
	names := rules.VaryNames(e.header)
	for _, name := range f.names {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(rules.FieldsOf(names)) > 2*rules.MaxVary {
		return errVary
	}
	lang := rules.Language(rules.FieldsOf(names), e.header)
	if lang != "" && !slices.Contains(names, lang) && rules.LanguagesOf(names) < maxLanguages {
		names = append(names, lang)
		slices.Sort(names)
	}
	if s.set.Compress && e.id == "" && e.size >= rules.MinCompress && rules.Compressible(e.header) {
		e.shrink()
	}
	e.target, e.inc, e.seq = f.target, f.inc, f.seq
	e.stamp = int64(rand.Uint32())
	variant, byLang := s.set.Rules.Variant(names, h), ""
	if lang != "" { // what those get who like it best
		other := h.Clone()
		other.Set("Accept-Language", lang[len(rules.LangMark):])
		byLang = s.set.Rules.Variant(names, other)
	}
	if byLang == variant {
		byLang = ""
	}
	deleted, err := s.run(ctx, &s.fillScript, []string{
		f.entryKey(variant), f.index(), f.vary(), f.log, f.leaseKey(f.variant),
		f.hitForMissKey(f.variant, plain), f.hitForMissKey(f.variant, withCookie), f.largeKey(f.variant), f.entryKey(cmp.Or(byLang, variant)),
	}, s.filling(&f, e, goesTo{names, variant, byLang})...)
	switch {
	case err != nil:
		return err
	case len(deleted) != 1 || deleted[0] < 0:
		return errChunk
	}
	s.Counts.Evicted.Add(deleted[0])
	s.memo.change(f.hash, func(k *known) {
		*k = known{names: names, tags: memorable(e.tags), until: time.Now().Add(e.Fresh + e.Beyond())}
	})
	return nil
}

// goesTo is where an entry goes.
type goesTo struct {
	names           []string
	variant, byLang string
}

// filling are the arguments of fill.lua.
func (s *Store) filling(f *found, e *entry, at goesTo) []any {
	member := func(variant string) string {
		if variant == "" {
			return ""
		}
		return f.hash + ":" + variant
	}
	args := make([]any, 0, 10+len(at.names))
	args = append(args, e.encode(), e.Keep.Milliseconds(), s.logTTL().Milliseconds(), f.lease, s.set.MaxVariants,
		member(at.variant), e.id+":"+strconv.Itoa(e.chunks()), member(at.byLang), f.base, chunkGrace.Milliseconds())
	for _, name := range at.names {
		args = append(args, name)
	}
	return args
}
