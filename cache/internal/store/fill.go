package store

import (
	"cmp"
	"context"
	_ "embed" // for the script
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/unavailable"
)

//go:embed fill.lua
var fillSource string

// ErrVary is returned for a response that is not stored, because its target would
// have too many selecting fields.
var ErrVary = errors.New("too many selecting headers")

// maxLanguages bounds the languages that are kept of a target, since a handler can invent
// any number.
const maxLanguages = 64

// Fill stores e as the response to the look-up f with the fields h, and ends its lease, in
// one round trip that does not end with ctx. It succeeds after a purge too: the entry then
// has a lower number than the purge and is a miss. The chunks of the body are in Redis
// already, see [Recorder]. It returns [ErrVary] if too many fields select, and an error that
// matches [unavailable.Err] without a round trip if the node is known to be down.
func (s *Store) Fill(ctx context.Context, f Found, h http.Header, e *Entry) error {
	call, ok := s.nodes.Allow(f.Log)
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

func (s *Store) fillNow(ctx context.Context, f Found, h http.Header, e *Entry) error {
	names := rules.VaryNames(e.Header)
	for _, name := range f.Names {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(rules.FieldsOf(names)) > 2*rules.MaxVary {
		return ErrVary
	}
	lang := rules.Language(rules.FieldsOf(names), e.Header)
	if lang != "" && !slices.Contains(names, lang) && rules.LanguagesOf(names) < maxLanguages {
		names = append(names, lang)
		slices.Sort(names)
	}
	if s.set.Compress && e.ID == "" && e.Size >= rules.MinCompress && rules.Compressible(e.Header) {
		e.shrink()
	}
	e.Target, e.Inc, e.Seq = f.Target, f.Inc, f.Seq
	e.Stamp = int64(rand.Uint32())
	variant, byLang := s.set.Rules.Variant(names, h), ""
	if lang != "" { // what those get who like it best
		other := h.Clone()
		other.Set("Accept-Language", lang[len(rules.LangMark):])
		byLang = s.set.Rules.Variant(names, other)
	}
	if byLang == variant {
		byLang = ""
	}
	deleted, err := s.caller.Ints(ctx, s.fillScript, []string{
		f.EntryKey(variant), f.index(), f.vary(), f.Log, f.LeaseKey(f.Variant),
		f.hitForMissKey(f.Variant, plain), f.hitForMissKey(f.Variant, withCookie), f.largeKey(f.Variant), f.EntryKey(cmp.Or(byLang, variant)),
	}, s.filling(&f, e, goesTo{names, variant, byLang})...)
	switch {
	case err != nil:
		return err
	case len(deleted) != 1 || deleted[0] < 0:
		return errChunk
	}
	s.Counts.Evicted.Add(deleted[0])
	s.memo.change(f.Hash, func(known) known {
		return known{names: names, tags: memorable(e.Tags), until: time.Now().Add(e.Fresh + e.Beyond())}
	})
	return nil
}

// goesTo is where an entry goes.
type goesTo struct {
	names           []string
	variant, byLang string
}

// filling are the arguments of fill.lua.
func (s *Store) filling(f *Found, e *Entry, at goesTo) []any {
	member := func(variant string) string {
		if variant == "" {
			return ""
		}
		return f.Hash + ":" + variant
	}
	args := make([]any, 0, 10+len(at.names))
	args = append(args, e.Encode(), e.Keep.Milliseconds(), s.set.logTTL().Milliseconds(), f.Lease, s.set.MaxVariants,
		member(at.variant), e.ID+":"+strconv.Itoa(e.chunks()), member(at.byLang), f.base, chunkGrace.Milliseconds())
	for _, name := range at.names {
		args = append(args, name)
	}
	return args
}
