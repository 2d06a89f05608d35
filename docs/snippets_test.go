package docs_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// snippet is one block of Go in a page.
type snippet struct {
	page, module string // module is the directory of the one it is checked in
	line         int
	code         string
}

// snippetIn finds blocks of Go. A comment before one names the nested module
// that has what it imports: <!-- module: examples -->
var snippetIn = regexp.MustCompile("(?ms)^(?:<!-- module: (\\S+) -->\\n+)?```go\\n(.*?)^```$")

func snippetsOf(page, text string) []snippet {
	var all []snippet
	for _, m := range snippetIn.FindAllStringSubmatchIndex(text, -1) {
		s := snippet{page: page, module: ".", code: text[m[4]:m[5]], line: strings.Count(text[:m[4]], "\n") + 1}
		if m[2] >= 0 {
			s.module = text[m[2]:m[3]]
		}
		all = append(all, s)
	}
	return all
}

// docGiven are the variables that pages speak of as known.
var docGiven = map[string]string{
	"ctx": "context.Context", "err": "error", "logger": "*slog.Logger", "db": "*sql.DB", "user": "string",
	"conn": "*connect.Conn", "rdb": "redis.UniversalClient", "set": "*connect.Set",
	"limiter": "*ratelimit.Limiter", "sessions": "*session.Manager", "responses": "*cache.Cache", "locks": "*lockmw.Locker", "runner": "*cronlock.Runner", "report": "*cronlock.Job",
	"mux": "*http.ServeMux", "handler": "http.Handler", "pay": "http.Handler", "w": "http.ResponseWriter", "r": "*http.Request",
	"panel": "*admin.Panel", "k": "*lockmw.Lock", "work": "func(context.Context, uint64)", "makeReport": "func(context.Context) error", "schedule": "cronlock.Schedule",
}

// docPackages are those that pages use by name.
var docPackages = func() map[string]string {
	const own = "github.com/redishttp/redishttp/"
	all := map[string]string{
		"redis": "github.com/redis/go-redis/v9", "redis_rate": "github.com/go-redis/redis_rate/v10", "scs": "github.com/alexedwards/scs/v2",
		"cronlock": own + "lockmw/cronlock", "lockkey": own + "lockmw/lockkey", "idempotency": own + "lockmw/idempotency", "embedded": own + "connect/embedded", "redigopool": own + "connect/redigopool", "connecttest": own + "connect/connecttest",
		"otelconnect": own + "connect/otelconnect", "gocronlock": own + "adapters/gocronlock", "cron": "github.com/robfig/cron/v3", "gocron": "github.com/go-co-op/gocron/v2",
		"chi": "github.com/go-chi/chi/v5", "gin": "github.com/gin-gonic/gin", "echo": "github.com/labstack/echo/v5",
	}
	for _, name := range []string{"admin", "cache", "clientip", "connect", "lockmw", "ratelimit", "session"} {
		all[name] = own + name
	}
	for _, path := range []string{"context", "crypto/rand", "crypto/sha256", "crypto/subtle", "crypto/tls", "database/sql", "errors", "fmt", "log", "log/slog", "net/http", "net/netip", "os", "slices", "strings", "sync", "testing", "time"} {
		all[path[strings.LastIndex(path, "/")+1:]] = path
	}
	return all
}()

// file makes a whole file of a snippet: of declarations, or of statements that
// become the body of a function. What it leaves undeclared it is given.
func (s snippet) file() (text string, imported []string) {
	body := s.code
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+body, parser.SkipObjectResolution); err != nil {
		body = "func _() error {\n{\n" + s.code + "}\nreturn nil\n}\n"
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+body, 0)
	if err != nil {
		return "package p\n" + body, nil // the check says what is wrong
	}
	imports, vars := map[string]bool{}, map[string]string{}
	for _, id := range parsed.Unresolved {
		if kind, ok := docGiven[id.Name]; ok {
			vars[id.Name] = kind
			for name := range docPackages {
				if regexp.MustCompile(`\b` + name + `\.`).MatchString(kind) {
					imports[name] = true
				}
			}
		} else if _, ok := docPackages[id.Name]; ok {
			imports[id.Name] = true
		}
	}
	var b strings.Builder
	b.WriteString("package p\n")
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		fmt.Fprintf(&b, "import %s %q\n", name, docPackages[name])
		imported = append(imported, docPackages[name])
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(&b, "var %s %s\n", name, vars[name])
	}
	fmt.Fprintf(&b, "//line %s:%d\n%s", s.page, s.line-strings.Count(body[:strings.Index(body, s.code)], "\n"), body)
	return b.String(), imported
}

// checker type-checks snippets against the compiled packages of one module.
type checker struct {
	module  string
	exports map[string]string // files by import path
	imports types.Importer
	fset    *token.FileSet
}

// newChecker asks the go command for what snippets of a module import. What the
// module does not have is missing.
func newChecker(module string, snippets []snippet) (*checker, error) {
	paths := map[string]bool{}
	for _, s := range snippets {
		_, imported := s.file()
		for _, path := range imported {
			paths[path] = true
		}
	}
	args := []string{"list", "-e", "-export", "-f", "{{.ImportPath}}\t{{.Export}}"}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race") // as this test was built: all of it is in the build cache
	}
	cmd := exec.Command("go", append(args, slices.Sorted(maps.Keys(paths))...)...)
	cmd.Dir = module
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, &stderr)
	}
	c := &checker{module: module, exports: map[string]string{}, fset: token.NewFileSet()}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		c.exports[path] = file
	}
	c.imports = importer.ForCompiler(c.fset, "gc", func(path string) (io.ReadCloser, error) {
		if c.exports[path] == "" {
			return nil, fmt.Errorf("module %s has no package %s: name the one that has in a comment before the block", module, path)
		}
		return os.Open(c.exports[path])
	})
	return c, nil
}

// check returns the mistakes of a snippet. That it leaves a variable unused is
// none: pages show beginnings.
func (c *checker) check(s snippet) error {
	text, _ := s.file()
	file, err := parser.ParseFile(c.fset, "", text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	var errs []error
	conf := types.Config{Importer: c.imports, Error: func(err error) {
		if e := (types.Error{}); errors.As(err, &e) && e.Soft {
			return
		}
		errs = append(errs, err)
	}}
	_, _ = conf.Check("p", c.fset, []*ast.File{file}, nil) // Error has all of it
	return errors.Join(errs...)
}

// docPages are what a newcomer reads.
func docPages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range append(names, "README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	return all
}

// Every block of Go in the README and in docs is checked by the compiler's own
// type checker.
func TestSnippetsCompile(t *testing.T) {
	all := map[string][]snippet{} // by module
	for page, text := range docPages(t) {
		found := snippetsOf(page, text)
		if want := strings.Count(text, "```go"); len(found) != want {
			t.Errorf("%s: %d blocks of Go, %d are checked", page, want, len(found))
		}
		for _, s := range found {
			all[s.module] = append(all[s.module], s)
		}
	}
	checkers := map[string]*checker{}
	for module, snippets := range all {
		c, err := newChecker(module, snippets)
		if err != nil {
			t.Fatalf("module %s: %v", module, err)
		}
		checkers[module] = c
		for _, s := range snippets {
			if err := c.check(s); err != nil {
				t.Errorf("%s:%d:\n%v", s.page, s.line, err)
			}
		}
		t.Logf("%s: %d snippets", module, len(snippets))
	}
	if len(all["."]) < 30 {
		t.Errorf("%d snippets found", len(all["."]))
	}
	t.Run("wrong", func(t *testing.T) {
		for code, want := range map[string]string{
			"limiter, err := ratelimit.New(rdb, redis_rate.PerMinuet(100))":     "page.md:3: undefined: redis_rate.PerMinuet",
			"locks, err := lockmw.New(rdb, lockmw.WithLease(time.Second))":      "undefined: lockmw.WithLease",
			"err := responses.Purge(ctx, 7)":                                    "cannot use 7",
			"sessions.Put(r.Context(), \"user\")":                               "not enough arguments",
			"unheardOf.Handler(mux)":                                            "undefined: unheardOf",
			"c := cron.New()":                                                   "has no package github.com/robfig/cron/v3",
			"if err != nil { return":                                            "expected",
			"var _ lockmw.KeyFunc = func(*http.Request) string { return \"\" }": "as lockmw.KeyFunc value",
		} {
			s := snippetsOf("page.md", "# Page\n```go\n"+code+"\n```\n")
			if len(s) != 1 {
				t.Fatalf("%d blocks found", len(s))
			}
			if err := checkers["."].check(s[0]); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error with %q", code, err, want)
			}
		}
	})
}
