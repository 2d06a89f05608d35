package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// readyPause is the pause between two probes of a Redis that does not serve yet.
const readyPause = 50 * time.Millisecond

// Ready waits until Redis serves: until a master, or a cluster in state ok,
// answers a PING, tried every 50 ms. Call it at the start of a program that
// cannot do without Redis; the middlewares need no such wait. Give ctx a
// deadline. When it ends, Ready returns an [*UnavailableError] with the last
// cause. It returns one at once, with a hint, when waiting cannot help: on a
// wrong password, a certificate that is not trusted, TLS on one side only, or a
// database that the server or cluster does not have. After [Conn.Close] the error
// matches [ErrClosed].
//
//	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
//	defer cancel()
//	if err := conn.Ready(ctx); err != nil { … } // names the cause and a hint
func (c *Conn) Ready(ctx context.Context) error {
	tick := time.NewTicker(readyPause)
	defer tick.Stop()
	ctx = context.WithValue(ctx, probing{}, true)
	for {
		err := c.probe(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, ErrClosed) {
			return err
		}
		unavailable := c.unavailable(err)
		if already := (*UnavailableError)(nil); errors.As(err, &already) {
			unavailable.Err, unavailable.LastDial = already.Err, already.LastDial
		}
		if unavailable.Hint = hint(err, unavailable.LastDial); unavailable.Hint != "" {
			return unavailable
		}
		select {
		case <-c.open.Done():
			return c.errClosed()
		case <-ctx.Done():
			if c.config.UseTLS && errors.Is(unavailable.LastDial, context.DeadlineExceeded) {
				unavailable.Hint = "the TLS handshake did not complete: if the server speaks plain text, use redis://"
			}
			return unavailable
		case <-tick.C:
		}
	}
}

// probe checks once.
func (c *Conn) probe(ctx context.Context) error {
	rdb, ok := c.client.(*redis.Client)
	if ok {
		_, err := c.examine(ctx, rdb)
		return err
	}
	info := c.client.ClusterInfo(ctx)
	if info.Err() != nil {
		return info.Err()
	}
	return clusterState(info)
}

// hint explains errors that waiting does not resolve. It returns "" for others.
func hint(errs ...error) string {
	for _, err := range errs {
		var (
			authority   x509.UnknownAuthorityError
			certificate *tls.CertificateVerificationError
			record      tls.RecordHeaderError
			alert       tls.AlertError
		)
		switch {
		case err == nil:
		case errors.Is(err, errNoMaster):
			return "check the master's name in the URL's path"
		case redis.HasErrorPrefix(err, "WRONGPASS"), redis.HasErrorPrefix(err, "NOAUTH"):
			if strings.HasPrefix(err.Error(), "redis: all sentinels") {
				return "check sentinel_username and sentinel_password_file"
			}
			return "check user and password"
		case strings.Contains(err.Error(), "SELECT is not allowed in cluster mode"):
			return "a cluster of Redis has only database 0: leave the database out of the URL"
		case strings.Contains(err.Error(), "DB index is out of range"):
			return "the server has no database with this number: see databases, or cluster-databases on a cluster of Valkey 9 and later, in its configuration"
		case redis.HasErrorPrefix(err, "NOPERM"):
			return "the user's ACL does not allow this"
		case errors.As(err, &authority), errors.As(err, &certificate):
			return "the server's certificate is not trusted: check ca_file and the host name"
		case errors.As(err, &record):
			return "the server does not speak TLS: use redis:// instead of rediss://"
		case errors.As(err, &alert), strings.Contains(err.Error(), "tls: "):
			return "the TLS handshake failed: check cert_file and key_file"
		case errors.Is(err, io.EOF):
			return "the server closed the connection at once: does it expect TLS (rediss://)?"
		}
	}
	return ""
}
