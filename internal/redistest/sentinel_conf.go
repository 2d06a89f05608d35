//go:build unix

package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/redis/go-redis/v9"
)

func (s *SentinelServers) newSentinelServer(master *Server, authority *certs) (*Server, error) {
	dir, err := newDir("sentinel")
	if err != nil {
		return nil, err
	}
	server := &Server{program: master.program, dir: dir, user: s.options.user, pass: s.options.pass}
	if s.options.tls {
		if server.certs = authority; authority == nil {
			server.certs = &certs{}
			if err := server.certs.write(dir); err != nil {
				return nil, err
			}
		}
	}
	for range 5 {
		if server.port, err = freePort(); err != nil {
			return nil, err
		}
		text, err := s.config(server, master)
		if err != nil {
			return nil, err
		}
		conf := filepath.Join(dir, "sentinel.conf")
		if err = os.WriteFile(conf, []byte(text), 0o600); err != nil {
			return nil, err
		}
		if server.proc, err = start(dir, server.program, nil, conf, "--sentinel"); err != nil {
			return nil, err
		}
		if err = server.waitUp(); err == nil {
			return server, nil
		}
		server.proc.kill()
	}
	return nil, err
}

// config is a sentinel.conf. A sentinel speaks to data nodes and to other
// sentinels in the same way; with TLS on the data side only it therefore
// listens on two ports.
func (s *SentinelServers) config(server, master *Server) (string, error) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("bind 127.0.0.1\ndir %s\nprotected-mode no", server.dir)
	if master.certs == nil {
		line("port %d", server.port)
	} else {
		listen, err := s.listenTLS(server, master)
		if err != nil {
			return "", err
		}
		line("%s", listen)
	}
	line("sentinel monitor %[1]s 127.0.0.1 %[2]d 2\nsentinel down-after-milliseconds %[1]s 1000\n"+
		"sentinel failover-timeout %[1]s 5000\nsentinel parallel-syncs %[1]s 1", MasterName, master.port)
	if master.user != "" {
		line("sentinel auth-user %[1]s %[2]s\nsentinel auth-pass %[1]s %[3]s", MasterName, master.user, master.pass)
	}
	if server.user != "" {
		line("user default off\nuser %s on >%s ~* &* +@all", server.user, server.pass)
		line("sentinel sentinel-user %s\nsentinel sentinel-pass %s", server.user, server.pass)
	}
	return b.String(), nil
}

// listenTLS are the lines that have a sentinel speak TLS to data nodes with
// certificates.
func (s *SentinelServers) listenTLS(server, master *Server) (string, error) {
	authorities, err := os.ReadFile(master.certs.caFile)
	if err != nil {
		return "", err
	}
	own, plain, secure := master.certs, server.port, 0
	if server.certs != nil {
		own, plain, secure = server.certs, 0, server.port
		more, err := os.ReadFile(own.caFile)
		if err != nil {
			return "", err
		}
		authorities = append(authorities, more...)
	} else if secure, err = freePort(); err != nil {
		return "", err
	}
	bundle := filepath.Join(server.dir, "bundle.pem")
	if err := os.WriteFile(bundle, authorities, 0o600); err != nil {
		return "", err
	}
	return fmt.Sprintf("port %d\ntls-port %d\ntls-auth-clients no\ntls-replication yes\ntls-ca-cert-file %s\n", plain, secure, bundle) +
		fmt.Sprintf("tls-cert-file %s\ntls-key-file %s\n", own.serverCert, own.serverKey) +
		fmt.Sprintf("tls-client-cert-file %s\ntls-client-key-file %s", master.certs.clientCert, master.certs.clientKey), nil
}

// sentinelField is a field of what a sentinel knows of the master.
func sentinelField(ctx context.Context, s *Server, field string) string {
	rdb := redis.NewSentinelClient(s.Options())
	defer rdb.Close()
	m, err := rdb.Master(ctx, MasterName).Result()
	if err != nil {
		return ""
	}
	return m[field]
}
