package session

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

const (
	sealKeySize = 32
	sealIDSize  = 4
)

// sealed is the prefix of encrypted values. Neither the default codec nor gob
// writes it.
const sealed = "\x00\x02"

// sealer encrypts values at rest with AES-256-GCM (NIST SP 800-38D). Each
// session has a key of its own, derived by HKDF (RFC 5869) from the configured
// one and the Redis key, so that random nonces cannot run out and no value can
// be moved to another session. A nil sealer leaves values as they are.
type sealer struct {
	keys  []sealKey // the first encrypts, all decrypt
	plain bool      // read what is not encrypted
}

type sealKey struct {
	id     []byte
	master []byte
}

// newSealer derives the id of each key, which stands in front of what it
// encrypts.
func newSealer(masters [][]byte, plain bool) (*sealer, error) {
	s := &sealer{plain: plain}
	for _, master := range masters {
		id, err := hkdf.Key(sha256.New, master, nil, "redishttp session key id", sealIDSize)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, sealKey{id, bytes.Clone(master)})
	}
	return s, nil
}

// aead returns the cipher of one Redis key.
func (k sealKey) aead(redisKey string) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, k.master, nil, "redishttp session "+redisKey, sealKeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal encrypts b for one Redis key: prefix, id of the key, nonce and
// ciphertext. The Redis key is authenticated with it.
func (s *sealer) seal(redisKey string, b []byte) ([]byte, error) {
	if s == nil {
		return b, nil
	}
	aead, err := s.keys[0].aead(redisKey)
	if err != nil {
		return nil, fmt.Errorf("session: encrypt: %w", err)
	}
	out := make([]byte, 0, len(sealed)+sealIDSize+len(b)+aead.Overhead())
	out = append(append(out, sealed...), s.keys[0].id...)
	return aead.Seal(out, nil, b, []byte(redisKey)), nil
}

// open decrypts what seal wrote for the Redis key of base and hash, with the key whose id it has. It returns
// ErrUnknownKey if that is not configured, and ErrCorrupt for what was forged,
// moved or is not encrypted.
func (s *sealer) open(base, hash string, b []byte) ([]byte, error) {
	rest, isSealed := bytes.CutPrefix(b, []byte(sealed))
	switch {
	case !isSealed && (s == nil || s.plain):
		return b, nil
	case !isSealed:
		return nil, fmt.Errorf("%w: it is not encrypted", ErrCorrupt)
	case s == nil || len(rest) < sealIDSize:
		return nil, ErrUnknownKey
	}
	redisKey := base + hash
	for _, k := range s.keys {
		if !bytes.Equal(rest[:sealIDSize], k.id) {
			continue
		}
		aead, err := k.aead(redisKey)
		if err != nil {
			return nil, fmt.Errorf("session: decrypt: %w", err)
		}
		plain, err := aead.Open(nil, nil, rest[sealIDSize:], []byte(redisKey))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return plain, nil
	}
	return nil, ErrUnknownKey
}
