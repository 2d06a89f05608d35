package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
)

// demoUsers are in the source, and on the login page, so that there is somebody
// to log in as.
var demoUsers = map[string]string{"ann": "river-otter-42", "bob": "copper-kettle-7"}

// users is a table in memory of who may log in: salted hashes, as a database
// would hold them. PBKDF2 is what the standard library has; Argon2id costs an
// attacker more.
type users struct {
	rounds int
	byName map[string]secret
	nobody secret
}

type secret struct{ salt, hash []byte }

func newUsers(rounds int, passwords map[string]string) (*users, error) {
	u := &users{rounds: rounds, byName: map[string]secret{}}
	var err error
	for name, password := range passwords {
		if u.byName[name], err = newSecret(password, rounds); err != nil {
			return nil, err
		}
	}
	u.nobody, err = newSecret(rand.Text(), rounds)
	return u, err
}

func newSecret(password string, rounds int) (secret, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	hash, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return secret{}, fmt.Errorf("login: hash: %w", err)
	}
	return secret{salt, hash}, nil
}

// check takes as long for a user that does not exist, so that nobody learns who
// does.
func (u *users) check(name, password string) bool {
	s, known := u.byName[name]
	if !known {
		s = u.nobody
	}
	hash, err := pbkdf2.Key(sha256.New, password, s.salt, u.rounds, sha256.Size)
	return err == nil && subtle.ConstantTimeCompare(hash, s.hash) == 1 && known
}

// userName is one spelling for a name, however it was typed.
func userName(typed string) string { return strings.ToLower(strings.TrimSpace(typed)) }
