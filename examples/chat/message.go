package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

const (
	maxText  = 1000     // characters of a message
	maxBody  = 16 << 10 // bytes of a request, in which JSON may need twelve for one character
	maxNonce = 64
)

// draft is a message as a client sends it.
type draft struct {
	Text string `json:"text"`
	// Nonce is the client's own name for the message: with the same one again
	// it is said once. So a client that got no answer may simply ask again.
	Nonce string `json:"nonce"`
}

var (
	errText  = fmt.Errorf("a message has 1 to %d characters", maxText)
	errNonce = errors.New("a nonce has up to 64 of A-Z, a-z, 0-9, - and _")
)

// clean returns the draft as it is said. Messages are hostile: what is shown of
// one is up to the page, which shows text and nothing else; here go the control
// characters, which nobody can see, and what is too long.
func (d draft) clean() (draft, error) {
	d.Text = strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && c != '\n' {
			return -1
		}
		return c
	}, d.Text))
	if n := utf8.RuneCountInString(d.Text); n == 0 || n > maxText {
		return draft{}, errText
	}
	if len(d.Nonce) > maxNonce || strings.ContainsFunc(d.Nonce, func(c rune) bool {
		return c > unicode.MaxASCII || c != '-' && c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}) {
		return draft{}, errNonce
	}
	return d, nil
}

// author is who says something: a name that anybody may take, and a number that
// nobody else has.
type author struct {
	From string `json:"from"`
	Name string `json:"name"`
}

// message is one that was said, and its JSON, which is made once for all
// clients.
type message struct {
	id   id
	json []byte
}

// decode makes a message of an entry of the stream.
func decode(m redis.XMessage) (message, error) {
	at, err := parseID(m.ID)
	if err != nil {
		return message{}, err
	}
	field := func(name string) string {
		s, _ := m.Values[name].(string)
		return s
	}
	body, err := json.Marshal(struct {
		Type string `json:"type"`
		ID   string `json:"id"`
		author
		Text string `json:"text"`
	}{"message", m.ID, author{field("from"), field("name")}, field("text")})
	if err != nil {
		return message{}, fmt.Errorf("chat: encode a message: %w", err)
	}
	return message{at, body}, nil
}
