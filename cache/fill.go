package cache

import (
	"cmp"
	"context"

	"github.com/redishttp/redishttp/cache/internal/rules"

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

// fill stores an entry, in one round trip. Whether it still counts is found
// out by who reads it: a purge since the look-up has a higher number. Chunks
// are there already.
func (c *Cache) fill(ctx context.Context, f found, h http.Header, e *entry) error {
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
	if c.compress && e.id == "" && e.size >= rules.MinCompress && rules.Compressible(e.header) {
		e.shrink()
	}
	e.target, e.inc, e.seq = f.target, f.inc, f.seq
	e.stamp = int64(rand.Uint32())
	variant, byLang := c.rules.Variant(names, h), ""
	if lang != "" { // what those get who like it best
		other := h.Clone()
		other.Set("Accept-Language", lang[len(rules.LangMark):])
		byLang = c.rules.Variant(names, other)
	}
	if byLang == variant {
		byLang = ""
	}
	deleted, err := c.run(ctx, &c.fillScript, []string{
		f.entryKey(variant), f.index(), f.vary(), f.log, f.leaseKey(f.variant),
		f.hitForMissKey(f.variant, plain), f.hitForMissKey(f.variant, withCookie), f.largeKey(f.variant), f.entryKey(cmp.Or(byLang, variant)),
	}, c.filling(&f, e, goesTo{names, variant, byLang})...)
	switch {
	case err != nil:
		return err
	case len(deleted) != 1 || deleted[0] < 0:
		return errChunk
	}
	c.stats.evicted.Add(deleted[0])
	c.memo.change(f.hash, func(k *known) {
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
func (c *Cache) filling(f *found, e *entry, at goesTo) []any {
	member := func(variant string) string {
		if variant == "" {
			return ""
		}
		return f.hash + ":" + variant
	}
	args := make([]any, 0, 10+len(at.names))
	args = append(args, e.encode(), e.Keep.Milliseconds(), c.logTTL().Milliseconds(), f.lease, c.maxVariants,
		member(at.variant), e.id+":"+strconv.Itoa(e.chunks()), member(at.byLang), f.base, chunkGrace.Milliseconds())
	for _, name := range at.names {
		args = append(args, name)
	}
	return args
}
