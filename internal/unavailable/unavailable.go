// Package unavailable has the one error that says Redis cannot be used now, and
// the rules by which an error of a client is told to mean that.
package unavailable

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Err is the ErrUnavailable of every package: errors.Is finds it in the errors
// of all of them, by any name.
var Err = errors.New("redis is unavailable")

// passing are the words with which Redis says that it cannot serve a command
// now, but may later without anybody mending anything: it is starting, failing
// over, resharding, full or busy.
var passing = []string{
	"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK",
	"OOM", "MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE", "EXECABORT", "NOSCRIPT",
}

const fullServer = "max number of clients"

// Is reports whether err means that Redis cannot be used now: it did not
// answer, or its answer is one that passes. A missing right or a key of another
// type is none of that: waiting does not mend it.
func Is(err error) bool {
	return err != nil && (errors.Is(err, Err) || Unreachable(err) || Passing(err))
}

// Wrap returns an error that matches [Err] and err if [Is] is true of err, and
// err itself otherwise.
func Wrap(err error) error {
	if err == nil || errors.Is(err, Err) || !Is(err) {
		return err
	}
	return &wrapped{err}
}

// wrapped says the cause alone, for the cause says that it is Redis' already.
type wrapped struct{ cause error }

func (w *wrapped) Error() string        { return Err.Error() + ": " + w.cause.Error() }
func (w *wrapped) Is(target error) bool { return target == Err }
func (w *wrapped) Unwrap() error        { return w.cause }

// Unreachable reports whether err means that Redis did not answer. What Redis
// words is an answer, and so is none of go-redis' complaints about arguments.
func Unreachable(err error) bool {
	if err == nil {
		return false // before the variables, which escape
	}
	var (
		answer      redis.Error
		network     net.Error
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &answer), errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, context.DeadlineExceeded), errors.As(err, &certificate), errors.As(err, &record):
		return true
	}
	// go-redis has no values for these.
	for _, text := range []string{"redis: cluster has no nodes", "redis: all sentinels", "redis: all ring shards are down"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// Passing reports whether err is an answer of Redis that it cannot serve the
// command now.
func Passing(err error) bool {
	var answer redis.Error
	return err != nil && errors.As(err, &answer) && PassingText(answer.Error())
}

// PassingText is [Passing] for the text of an answer.
func PassingText(text string) bool {
	text = strings.TrimPrefix(text, "ERR ")
	if _, inner, ok := strings.Cut(text, "@user_script: "); ok { // Redis 6, with the line in the script
		text = strings.TrimLeft(inner, "0123456789:- ")
	}
	word, _, _ := strings.Cut(text, " ")
	return slices.Contains(passing, word) || strings.HasPrefix(text, fullServer)
}
