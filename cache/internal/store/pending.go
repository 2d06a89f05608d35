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
	fields  map[string]map[string]int64 // by log, with the number of the last call that added each
	whole   map[string]int64            // logs in which everything is purged, with the same
	calls   int64                       // of add
	running bool
}

const maxPending = 1000 // of one log

// add keeps marks of logs, no fields for everything.
func (p *pending) add(logs, fields []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fields == nil {
		p.fields, p.whole = map[string]map[string]int64{}, map[string]int64{}
	}
	p.calls++
	for _, log := range logs {
		of := p.fields[log]
		if of == nil {
			of = make(map[string]int64, len(fields))
		}
		for _, field := range fields {
			of[field] = p.calls
		}
		if p.fields[log] = of; len(fields) == 0 || len(of) > maxPending {
			delete(p.fields, log)
			p.whole[log] = p.calls
		}
	}
}

func (p *pending) has(log string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.fields[log]) > 0 || p.whole[log] > 0
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

// of returns the fields to mark in a log, none for all, and the number of the last call
// of add, for written.
func (p *pending) of(log string) (fields []string, last int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole[log] > 0 {
		return nil, p.calls
	}
	return slices.Sorted(maps.Keys(p.fields[log])), p.calls
}

func (p *pending) any() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.whole)+len(p.fields) > 0
}

// written drops what is marked now. What was added after last stays, the same fields
// too: that change came after what is written.
func (p *pending) written(log string, last int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole[log] <= last {
		delete(p.whole, log)
	}
	of := p.fields[log]
	maps.DeleteFunc(of, func(_ string, call int64) bool { return call <= last })
	if len(of) == 0 {
		delete(p.fields, log)
	}
}
