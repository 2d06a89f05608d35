package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// prose is a page without its blocks of code.
func prose(text string) string {
	var b strings.Builder
	code := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			code = !code
			line = "\n"
		}
		if code || strings.HasPrefix(line, "\t") {
			line = "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

var (
	docLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codeSpan   = regexp.MustCompile("`[^`]*`")
	docHeading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
)

// anchors are what GitHub makes of the headings of a page.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range docHeading.FindAllStringSubmatch(prose(text), -1) {
		base := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		anchor := base
		for n := 1; all[anchor]; n++ {
			anchor = fmt.Sprint(base, "-", n)
		}
		all[anchor] = true
	}
	return all
}

// broken returns the relative links of a page that lead nowhere.
func broken(page, text string, read func(string) ([]byte, error)) []string {
	var bad []string
	for _, m := range docLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(prose(text), ""), -1) {
		if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(m[1], "#")
		target := text
		if file != "" {
			b, err := read(filepath.Join(filepath.Dir(page), file))
			if err != nil {
				bad = append(bad, m[1])
				continue
			}
			target = string(b)
		}
		if anchor != "" && !anchors(target)[anchor] {
			bad = append(bad, m[1])
		}
	}
	return bad
}

// readLink reads a file, or nothing of a directory that exists.
func readLink(name string) ([]byte, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil, nil
	}
	return os.ReadFile(name)
}

// Every relative link of README and docs leads somewhere, anchors too.
func TestLinks(t *testing.T) {
	all := docPages(t)
	decisions, err := filepath.Glob("docs/adr/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range decisions {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	for page, text := range all {
		for _, target := range broken(page, text, readLink) {
			t.Errorf("%s: %s leads nowhere", page, target)
		}
	}
	page := "# A page\n[good](#a-page) [good](README.md) `[no link](x)` [bad](#nowhere) [bad](missing.md) [bad](README.md#nowhere)\n"
	if got := fmt.Sprint(broken("page.md", page, readLink)); got != "[#nowhere missing.md README.md#nowhere]" {
		t.Errorf("found %s", got)
	}
}

// The index leads to every page.
func TestIndexHasEveryPage(t *testing.T) {
	all := docPages(t)
	for page := range all {
		name := filepath.Base(page)
		if strings.HasPrefix(page, "docs/") && name != "README.md" && !strings.Contains(all["docs/README.md"], "]("+name+")") {
			t.Errorf("docs/README.md does not link to %s", name)
		}
	}
}

var (
	docTest      = regexp.MustCompile(`\bTest[A-Z]\w*`)
	docQualified = regexp.MustCompile(`\b[a-z]+\.[A-Z]\w*`)
	// declared is what begins a line of Go, in a group of names too.
	docDeclared = regexp.MustCompile(`(?m)^(?:func (?:\([^)]*\) )?|type |var |const |\t)([A-Z]\w*)`)
)

// What pages name in code is there: tests, and exported names of the packages.
func TestNamesInPagesExist(t *testing.T) {
	there := map[string]bool{} // tests, and package.Name
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		prefix := filepath.Base(filepath.Dir(path)) + "."
		if strings.HasSuffix(path, "_test.go") {
			prefix = ""
		}
		for _, m := range docDeclared.FindAllStringSubmatch(string(text), -1) {
			there[prefix+m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	missing := func(text string) (names []string) {
		for _, span := range codeSpan.FindAllString(prose(text), -1) {
			for _, name := range docTest.FindAllString(span, -1) {
				if !there[name] {
					names = append(names, name)
				}
			}
			for _, name := range docQualified.FindAllString(span, -1) {
				pkg, _, _ := strings.Cut(name, ".")
				if ours := strings.Contains(docPackages[pkg], "redishttp"); ours && !there[name] {
					names = append(names, name)
				}
			}
		}
		return names
	}
	for page, text := range docPages(t) {
		for _, name := range missing(text) {
			t.Errorf("%s: there is no %s", page, name)
		}
	}
	if got := fmt.Sprint(missing("`TestNothing`, `lockmw.WithTTL(d)`, `lockmw.WithLease`, `TestLinks`, `scs.Anything`")); got != "[TestNothing lockmw.WithLease]" {
		t.Errorf("missing are %s", got)
	}
}
