package store

import (
	"maps"
	"slices"
	"sync"
)

// pending are marks that could not be written. Until they are, this instance
// serves nothing from their buckets.
type pending struct {
	mu      sync.Mutex
	fields  map[string][]string // by log
	whole   map[string]bool     // logs with too many: everything is purged
	running bool
}

const maxPending = 1000 // of one log

func (p *pending) add(logs, fields []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fields == nil {
		p.fields, p.whole = map[string][]string{}, map[string]bool{}
	}
	for _, log := range logs {
		for _, field := range fields {
			if !slices.Contains(p.fields[log], field) {
				p.fields[log] = append(p.fields[log], field)
			}
		}
		if len(p.fields[log]) > maxPending {
			p.fields[log], p.whole[log] = nil, true
		}
	}
}

func (p *pending) has(log string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.fields[log]) > 0 || p.whole[log]
}

// logs returns those with marks. If there are none, no goroutine writes them any more.
func (p *pending) logs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	logs := slices.AppendSeq(slices.Collect(maps.Keys(p.whole)), maps.Keys(p.fields))
	slices.Sort(logs)
	logs = slices.Compact(logs)
	p.running = len(logs) > 0
	return logs
}

// of returns the fields to mark in a log, none for all.
func (p *pending) of(log string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole[log] {
		return nil
	}
	return slices.Clone(p.fields[log])
}

func (p *pending) any() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.whole)+len(p.fields) > 0
}

func (p *pending) written(log string, fields []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fields == nil {
		delete(p.whole, log)
	}
	left := slices.DeleteFunc(p.fields[log], func(field string) bool { return fields == nil || slices.Contains(fields, field) })
	if p.fields[log] = left; len(left) == 0 {
		delete(p.fields, log)
	}
}
