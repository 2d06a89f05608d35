package rules

import (
	"strings"
	"testing"
	"time"
)

// What one header says (RFC 9111, section 5.2.2).
func TestTermsOfOneHeader(t *testing.T) {
	for name, tt := range map[string]struct {
		status         int
		lines          []string
		has, hasNot    string
		shared, forAll bool
		strict         bool
	}{
		"nothing":                            {},
		"max-age":                            {lines: []string{"Cache-Control:max-age=60"}, has: "max-age"},
		"public":                             {lines: []string{"Cache-Control:public"}, has: "public", shared: true, forAll: true},
		"s-maxage":                           {lines: []string{"Cache-Control:s-maxage=60"}, shared: true, forAll: true, strict: true},
		"must-revalidate":                    {lines: []string{"Cache-Control:must-revalidate"}, shared: true, strict: true},
		"proxy-revalidate":                   {lines: []string{"Cache-Control:proxy-revalidate"}, strict: true},
		"no-cache":                           {lines: []string{"Cache-Control:no-cache"}, strict: true},
		"no-cache of one field":              {lines: []string{`Cache-Control:no-cache="x-a"`}, has: "no-cache", strict: true}, // as of all, which is permitted
		"names in any case":                  {lines: []string{"Cache-Control:PUBLIC, Must-Revalidate"}, has: "public must-revalidate", shared: true, forAll: true, strict: true},
		"in quotes":                          {lines: []string{`Cache-Control:x="public, no-store"`}, hasNot: "public no-store"},
		"part of a name":                     {lines: []string{"Cache-Control:x-public, no-stores"}, hasNot: "public no-store"},
		"Pragma":                             {lines: []string{"Pragma: No-Cache"}, has: "no-cache", strict: true},
		"Pragma of something else":           {lines: []string{"Pragma:x"}, hasNot: "no-cache"},
		"Pragma beside Cache-Control":        {lines: []string{"Pragma:no-cache", "Cache-Control:max-age=60"}, hasNot: "no-cache"},
		"Pragma beside an empty one":         {lines: []string{"Pragma:no-cache", "Cache-Control:"}, has: "no-cache", strict: true},
		"must-understand":                    {lines: []string{"Cache-Control:must-understand, no-store"}, has: "must-understand", hasNot: "no-store"},
		"must-understand of an unknown":      {status: 599, lines: []string{"Cache-Control:must-understand, no-store"}, has: "must-understand no-store"},
		"must-understand alone":              {lines: []string{"Cache-Control:must-understand"}, has: "must-understand", hasNot: "no-store"},
		"must-understand, no-store, private": {lines: []string{"Cache-Control:must-understand, no-store, private"}, has: "private", hasNot: "no-store"},
	} {
		rs := all()
		h := fields(tt.lines...)
		got := rs.TermsOf(max(tt.status, 200), h, now)
		for d := range strings.FieldsSeq(tt.has) {
			if !got.Has(d) {
				t.Errorf("%s: %v, without %s", name, got.Control, d)
			}
		}
		for d := range strings.FieldsSeq(tt.hasNot) {
			if got.Has(d) {
				t.Errorf("%s: %v, with %s", name, got.Control, d)
			}
		}
		if got.shared != tt.shared || got.ForAll != tt.forAll || got.Strict() != tt.strict {
			t.Errorf("%s: shared %v, for all %v, strict %v, want %v, %v, %v", name, got.shared, got.ForAll, got.Strict(), tt.shared, tt.forAll, tt.strict)
		}
	}
}

// Of a handler and the middlewares around it the most restrictive holds; permissions of
// outer ones count where the handler says nothing.
func TestTermsOfAll(t *testing.T) {
	for name, tt := range map[string]struct {
		own, around    []string
		fresh          time.Duration
		explicit       bool
		is, isNot      string // directives, with their arguments
		shared, forAll bool
	}{
		"neither":                         {},
		"own alone":                       {own: []string{"Cache-Control:max-age=60"}, fresh: time.Minute, explicit: true, is: "max-age=60"},
		"around alone":                    {around: []string{"Cache-Control:max-age=60"}, fresh: time.Minute, explicit: true, is: "max-age=60"},
		"a shorter one around":            {own: []string{"Cache-Control:max-age=60"}, around: []string{"Cache-Control:max-age=10"}, fresh: 10 * time.Second, explicit: true, is: "max-age=10"},
		"a longer one around":             {own: []string{"Cache-Control:max-age=10"}, around: []string{"Cache-Control:max-age=60"}, fresh: 10 * time.Second, explicit: true, is: "max-age=10"},
		"Expires around":                  {own: []string{"Cache-Control:max-age=60"}, around: []string{"Expires:" + at(5*time.Second)}, fresh: 5 * time.Second, explicit: true},
		"Expires in the past around":      {own: []string{"Cache-Control:max-age=60"}, around: []string{"Expires:0"}, explicit: true},
		"a lifetime around, of an ETag":   {own: []string{"Cache-Control:public"}, around: []string{"Cache-Control:max-age=60"}, fresh: time.Minute, explicit: true, is: "public max-age=60", shared: true, forAll: true},
		"no-store around":                 {own: []string{"Cache-Control:max-age=60"}, around: []string{"Cache-Control:no-store"}, fresh: time.Minute, explicit: true, is: "no-store max-age=60"},
		"no-store own":                    {own: []string{"Cache-Control:no-store"}, around: []string{"Cache-Control:max-age=60, public"}, fresh: time.Minute, explicit: true, is: "no-store", isNot: "public"},
		"private around":                  {own: []string{"Cache-Control:public"}, around: []string{"Cache-Control:private"}, is: "private public", shared: true, forAll: true},
		"no-cache around":                 {own: []string{"Cache-Control:max-age=60"}, around: []string{"Cache-Control:no-cache"}, fresh: time.Minute, explicit: true, is: "no-cache"},
		"Pragma around":                   {own: []string{"Cache-Control:max-age=60"}, around: []string{"Pragma:no-cache"}, fresh: time.Minute, explicit: true, is: "no-cache"},
		"must-revalidate around":          {own: []string{"Cache-Control:max-age=60"}, around: []string{"Cache-Control:must-revalidate"}, fresh: time.Minute, explicit: true, is: "must-revalidate"},
		"public around":                   {own: []string{"Cache-Control:max-age=60"}, around: []string{"Cache-Control:public"}, fresh: time.Minute, explicit: true, isNot: "public"},
		"public around, own Expires":      {own: []string{"Expires:" + at(time.Minute)}, around: []string{"Cache-Control:public"}, fresh: time.Minute, explicit: true, isNot: "public"},
		"public around, nothing own":      {around: []string{"Cache-Control:public"}, is: "public", shared: true},
		"s-maxage around":                 {own: []string{"Cache-Control:max-age=60"}, around: []string{"Cache-Control:s-maxage=10"}, fresh: 10 * time.Second, explicit: true, is: "s-maxage=10"},
		"immutable around":                {own: []string{"Cache-Control:max-age=60"}, around: []string{"Cache-Control:immutable"}, fresh: time.Minute, explicit: true, isNot: "immutable"},
		"stale around":                    {own: []string{"Cache-Control:max-age=60"}, around: []string{"Cache-Control:stale-while-revalidate=60, stale-if-error=60"}, fresh: time.Minute, explicit: true, isNot: "stale-while-revalidate stale-if-error"},
		"stale around, nothing own":       {around: []string{"Cache-Control:max-age=1, stale-while-revalidate=60"}, fresh: time.Second, explicit: true, is: "stale-while-revalidate=60"},
		"stale of both":                   {own: []string{"Cache-Control:stale-if-error=60"}, around: []string{"Cache-Control:stale-if-error=5"}, is: "stale-if-error=5"},
		"must-understand around no-store": {own: []string{"Cache-Control:no-store"}, around: []string{"Cache-Control:must-understand, no-store"}, is: "no-store must-understand"},
		"two targeted fields":             {own: []string{"Cdn-Cache-Control:max-age=600", "Cache-Control:no-store"}, around: []string{"Cache-Control:max-age=10"}, fresh: 10 * time.Second, explicit: true, isNot: "no-store"},
		"a targeted field around":         {own: []string{"Cache-Control:max-age=600"}, around: []string{"Cdn-Cache-Control:no-store", "Cache-Control:max-age=10"}, fresh: 10 * time.Minute, explicit: true, is: "no-store"},
	} {
		rs := all()
		rs.Targets = []string{"Cdn-Cache-Control"}
		own, around := fields(tt.own...), fields(tt.around...)
		got := rs.Terms(Response{Status: 200, Header: own, Around: around}, now)
		if got.Fresh != tt.fresh || got.Explicit != tt.explicit || got.shared != tt.shared || got.ForAll != tt.forAll {
			t.Errorf("%s: fresh for %v, explicit %v, shared %v, for all %v, want %v, %v, %v, %v", name, got.Fresh, got.Explicit, got.shared, got.ForAll, tt.fresh, tt.explicit, tt.shared, tt.forAll)
		}
		for d := range strings.FieldsSeq(tt.is) {
			d, arg, _ := strings.Cut(d, "=")
			if have, ok := got.Control[d]; !ok || have != arg {
				t.Errorf("%s: %v, want %s=%s", name, got.Control, d, arg)
			}
		}
		for d := range strings.FieldsSeq(tt.isNot) {
			if got.Has(d) {
				t.Errorf("%s: %v, with %s", name, got.Control, d)
			}
		}
	}
}

// Statuses that have a name in RFC 9110 or in another one (section 3).
func TestUnderstoodStatuses(t *testing.T) {
	for status, want := range map[int]bool{200: true, 204: true, 301: true, 404: true, 410: true, 418: true, 451: true, 500: true, 504: true, 299: false, 306: false, 399: false, 599: false, 999: false} {
		if got := understood(status); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
}
