//go:build unix

package redistest

import (
	"context"
	"strings"
)

// role is what the server says it is: master, slave, or "" when it is silent.
func role(s *Server) string {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	info, err := s.do(ctx, "info", "replication")
	if err != nil {
		return ""
	}
	text, _ := info.(string)
	return infoField(text, "role")
}

func withRole(servers []*Server, want string) []*Server {
	var all []*Server
	for _, s := range servers {
		if role(s) == want {
			all = append(all, s)
		}
	}
	return all
}

// linked reports whether a replica has its master's data.
func linked(ctx context.Context, replica *Server) bool {
	info, err := replica.do(ctx, "info", "replication")
	text, _ := info.(string)
	return err == nil && infoField(text, "master_link_status") == "up"
}

// infoField is the value of one line of INFO, "" if it is not there.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value
		}
	}
	return ""
}
