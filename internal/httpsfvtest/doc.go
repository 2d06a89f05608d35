// Package httpsfvtest checks the headers of package ratelimit with an
// independent parser of structured fields (RFC 9651). It has tests only.
package httpsfvtest
