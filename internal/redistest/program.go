//go:build unix

package redistest

import (
	"cmp"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// ProgramVariable names the environment variable with the server program that
// tests start, such as valkey-server or a path.
const ProgramVariable = "REDISHTTP_REDIS_SERVER"

// Program is the server program that tests start: the one that
// REDISHTTP_REDIS_SERVER names, or redis-server. With --sentinel it is the
// sentinel as well.
func Program() string { return cmp.Or(os.Getenv(ProgramVariable), "redis-server") }

// WithProgram starts the server, or the sentinels beside it, from a program other
// than [Program].
func WithProgram(program string) ServerOption { return func(s *Server) { s.program = program } }

// ProgramsVariable names the environment variable with the server programs that make
// matrix and the benchmarks of servers run on, separated by spaces.
const ProgramsVariable = "REDISHTTP_SERVERS"

// Programs are the server programs that REDISHTTP_SERVERS names, without those that
// are not installed, or [Program] alone.
func Programs() []string {
	all := slices.DeleteFunc(strings.Fields(os.Getenv(ProgramsVariable)), func(program string) bool {
		_, err := exec.LookPath(program)
		return err != nil
	})
	if len(all) == 0 {
		return []string{Program()}
	}
	return all
}

// Version is what [Program] says of itself, such as "Valkey 9.1.2".
func Version() string { return VersionOf(Program()) }

// VersionOf is what a server program says of itself.
func VersionOf(program string) string {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "unknown"
	}
	name, rest, _ := strings.Cut(string(out), " ") // Redis server v=7.0.15 sha=…
	_, rest, _ = strings.Cut(rest, "v=")
	version, _, _ := strings.Cut(rest, " ")
	return name + " " + version
}
