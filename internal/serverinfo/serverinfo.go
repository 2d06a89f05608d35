// Package serverinfo tells which server answers and in which version. Servers
// that are compatible with Redis call themselves a Redis of some version in INFO:
// Valkey 9.1 says redis_version:7.2.4.
package serverinfo

import "strings"

// Server is the name and version of a server, such as Redis 8.0.6 or Valkey 9.1.2.
// Both are "" if they are not known.
type Server struct{ Name, Version string }

// Of reads the fields of INFO's section "server".
func Of(info map[string]string) Server {
	if name := info["server_name"]; name != "" { // Valkey's field; Redis has none
		if version := info[name+"_version"]; version != "" {
			return Server{strings.ToUpper(name[:1]) + name[1:], version}
		}
	}
	if version := info["redis_version"]; version != "" {
		return Server{"Redis", version}
	}
	return Server{}
}

// String returns name and version.
func (s Server) String() string { return strings.TrimSpace(s.Name + " " + s.Version) }
