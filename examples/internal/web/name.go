package web

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is how many characters a name may have, and NameRule says so to people.
const (
	MaxName  = 24
	NameRule = "A name has 1 to 24 visible characters."
)

// ErrName is a name that breaks NameRule.
var ErrName = errors.New("web: no name, or too long")

// maxMarks is how many accents may stand over one letter: there are people who
// pile up hundreds.
const maxMarks = 2

// Name makes of what somebody typed a name that can stand beside others: it
// leaves out what is not seen, like the controls that turn the direction of a
// whole line around, all but one space between words, and surplus accents.
func Name(s string) (string, error) {
	marks := maxMarks // none before the first letter
	s = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			marks = maxMarks
			return ' '
		case c == unicode.ReplacementChar, !unicode.IsGraphic(c):
			return -1
		case !unicode.IsMark(c):
			marks = 0
		case marks == maxMarks:
			return -1
		default:
			marks++
		}
		return c
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if n := utf8.RuneCountInString(s); n == 0 || n > MaxName {
		return "", ErrName
	}
	return s, nil
}
