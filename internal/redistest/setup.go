//go:build unix

package redistest

import (
	"path/filepath"
	"strings"
)

// setUp starts the server in its directory.
func (s *Server) setUp() (err error) {
	if s.socket != "" {
		s.socket = filepath.Join(s.dir, s.socket)
	}
	if s.certs != nil && s.certs.caFile == "" { // else shared with a server before
		if err := s.certs.write(s.dir); err != nil {
			return err
		}
	}
	if s.clock != "" {
		if s.env, err = s.shim(); err != nil {
			return err
		}
	}
	for range 5 { // another process may take the port between the draw and the bind
		if s.socket == "" {
			if s.port, err = freePort(); err != nil {
				return err
			}
		}
		if err = s.start(); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	return err
}
