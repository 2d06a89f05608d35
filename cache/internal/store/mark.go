package store

import (
	"context"
	"crypto/rand"
	_ "embed" // for the script
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/internal/bounded"
)

//go:embed purge.lua
var purgeSource string

// maxLogFields bounds a purge log. Above it the log is begun again at its present number,
// and everything in its bucket is invalidated, which is safe.
const maxLogFields = 50_000

// Mark is what a purge writes: fields of purge logs. No fields stand for everything.
type Mark struct{ logs, fields []string }

// Mark purges the URL of a place: all its targets and variants. soft makes them stale
// instead of missing.
func (p *Place) Mark(soft bool) Mark {
	return Mark{[]string{p.Log}, []string{URLField(p.url, soft)}}
}

// Tagged purges every entry that has one of these tags, in all buckets.
func (s *Store) Tagged(tags []string, soft bool) Mark {
	fields := make([]string, len(tags))
	for i, tag := range tags {
		fields[i] = TagField(tag, soft)
	}
	return Mark{s.logs(), fields}
}

// Everything purges every entry.
func (s *Store) Everything() Mark { return Mark{logs: s.logs()} }

// URLField is the field of a purge log with the number of the last purge of a URL, by
// its hash; soft is that of the last soft purge.
func URLField(hash string, soft bool) string { return field("u:", hash, soft) }

// TagField is [URLField] of a tag.
func TagField(tag string, soft bool) string { return field("t:", cachekey.Digest(tag), soft) }

func field(kind, hash string, soft bool) string {
	if soft {
		kind = "s" + kind
	}
	return kind + hash
}

func (s *Store) logs() []string {
	logs := make([]string, len(s.bases))
	for n := range logs {
		logs[n] = s.bases[n].log
	}
	return logs
}

// Purge writes m to its purge logs, in one round trip. It does not end with ctx: the change
// that it follows has happened. An error means that some logs may lack it; a purge that is
// written twice is one. [ErrUnconfirmed] means that it is written, but that replicas have
// not confirmed it.
func (s *Store) Purge(ctx context.Context, m Mark) error {
	_, err := s.markEach(ctx, m.logs, m.fields)
	return err
}

// markEach is Purge with the error of each log.
func (s *Store) markEach(ctx context.Context, logs, fields []string) (map[string]error, error) {
	s.gen.Add(1)
	s.Counts.Purges.Add(1)
	defer s.forgetNear(fields) // after: what was read before that is dropped too
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.set.WriteTimeout)
	defer cancel()
	args := []any{rand.Text(), s.set.logTTL().Milliseconds(), maxLogFields}
	for _, field := range fields {
		args = append(args, field)
	}
	errs, err := s.markNow(ctx, logs, args)
	if err != nil {
		s.nudge(ctx)
		return errs, err
	}
	return errs, s.confirm(ctx, logs)
}

func (s *Store) markNow(ctx context.Context, logs []string, args []any) (map[string]error, error) {
	if len(logs) == 1 {
		_, err := s.caller.Ints(ctx, s.purge, logs, args...)
		return map[string]error{logs[0]: err}, err
	}
	return s.markMany(ctx, logs, args)
}

// markMany runs the script for each log in one pipeline, by its hash; where it
// is not known, in a second one that brings it. A node that is away holds up no
// other. A purge that is executed twice is one.
func (s *Store) markMany(ctx context.Context, logs []string, args []any) (map[string]error, error) {
	errs, unknown, learnt := map[string]error{}, logs, s.purge.Hash() != ""
	if learnt {
		errs = s.markPipelined(ctx, logs, args, s.purge.EvalSha)
		unknown = slices.DeleteFunc(slices.Clone(logs), func(log string) bool { return !redis.HasErrorPrefix(errs[log], "NOSCRIPT") })
	}
	if len(unknown) > 0 {
		maps.Copy(errs, s.markPipelined(ctx, unknown, args, s.purge.Eval))
	}
	for _, log := range logs {
		if errs[log] != nil {
			return errs, errs[log]
		}
	}
	if !learnt {
		s.caller.Load(ctx, s.purge, logs[:1])
	}
	return errs, nil
}

// markPipelined returns the error of each log, nil if it is written.
func (s *Store) markPipelined(ctx context.Context, logs []string, args []any, call evaluate) map[string]error {
	cmds, marks := make([]redis.Cmder, len(logs)), make([]*redis.Cmd, len(logs))
	err := s.pipeline(ctx, func(p redis.Pipeliner) {
		for i, log := range logs {
			marks[i] = call(ctx, p, []string{log}, args...)
			cmds[i] = marks[i]
		}
	})
	errs := make(map[string]error, len(logs))
	lost := errors.Is(err, bounded.ErrAbandoned) || err != nil && bounded.Unmarked(cmds) // nothing may be read, or nothing was sent
	for i, log := range logs {
		switch errs[log] = err; {
		case lost:
		case marks[i].Val() != nil:
			// A cluster client whose time ends before it tries one node again puts
			// the error on all commands, also on those that have their reply.
			errs[log] = nil
		default:
			errs[log] = marks[i].Err()
		}
	}
	return errs
}

func (s *Store) forgetNear(fields []string) {
	s.gen.Add(1)
	for _, field := range fields {
		url, ok := strings.CutPrefix(strings.TrimPrefix(field, "s"), "u:")
		if !ok { // a tag
			s.near.forget("")
			return
		}
		s.near.forget(url)
	}
	if len(fields) == 0 {
		s.near.forget("")
	}
}
