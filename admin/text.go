package admin

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// piece is a part of a text from Redis: the text itself, or an escape for characters
// that cannot be shown or must not be.
type piece struct {
	Text string
	Esc  bool
}

// printable splits a text so that every byte of it is visible: it escapes control
// bytes, invalid UTF-8, and characters that hide or reverse their neighbours. It does
// not escape markup; templates do.
func printable(s string) []piece { return pieces(s, false) }

// pieces is printable that can keep line breaks, for whole values.
func pieces(s string, lines bool) []piece {
	var (
		out   []piece
		plain strings.Builder
	)
	flush := func() {
		if plain.Len() > 0 {
			out = append(out, piece{Text: plain.String()})
			plain.Reset()
		}
	}
	escape := func(text string) {
		flush()
		if n := len(out); n > 0 && out[n-1].Esc {
			out[n-1].Text += text
			return
		}
		out = append(out, piece{text, true})
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			escape(fmt.Sprintf(`\x%02x`, s[i]))
		case r == '\n':
			escape(`\n`)
			if lines {
				plain.WriteByte('\n')
			}
		case r == '\r':
			escape(`\r`)
		case r == '\t':
			escape(`\t`)
		case r < 0x20 || r == 0x7f:
			escape(fmt.Sprintf(`\x%02x`, r))
		case r != ' ' && !unicode.IsGraphic(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), unicode.Is(unicode.Mn, r) && i == 0:
			escape(fmt.Sprintf(`\u%04x`, r))
		default:
			plain.WriteString(s[i : i+n])
		}
		i += n
	}
	flush()
	return out
}

// plain is printable for places without markup, such as a title.
func plain(s string) string {
	var b strings.Builder
	for _, p := range printable(s) {
		b.WriteString(p.Text)
	}
	return b.String()
}

// cut shortens a text to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for back := n; back > n-utf8.UTFMax && back > 0; back-- {
		if utf8.RuneStart(s[back]) {
			return s[:back]
		}
	}
	return s[:n]
}

// prettyPieces is pieces for a text whose line breaks the panel has added.
func prettyPieces(s string) []piece {
	var out []piece
	for line := range strings.Lines(s) {
		out = append(append(out, printable(strings.TrimSuffix(line, "\n"))...), piece{Text: "\n"})
	}
	return out
}
