package connect_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/connect"
)

var (
	urlInDocs  = regexp.MustCompile("`((?:rediss?(?:\\+[a-z]+)?|embedded)://[^`…]*)`")
	paramInDoc = regexp.MustCompile("(?m)^\\| (`[a-z_, `]+`) \\|")
)

// Every URL of the documentation is one, and every parameter exists.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../docs/connect.md")
	if err != nil {
		t.Fatal(err)
	}
	urls := urlInDocs.FindAllStringSubmatch(string(page), -1)
	if len(urls) < 20 {
		t.Errorf("found %d URLs, want all of the page's", len(urls))
	}
	for _, m := range urls {
		url := m[1]
		if url == "rediss://" {
			continue
		}
		// Files are those of the reader's machine.
		url = strings.NewReplacer("sentinel_password_file=/run/secrets/sentinel", "x", "password_file=/run/secrets/redis", "x").Replace(url)
		url = strings.ReplaceAll(strings.ReplaceAll(url, "&x", ""), "?x", "")
		if _, err := connect.Parse(url); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
	names := 0
	for _, m := range paramInDoc.FindAllStringSubmatch(string(page), -1) {
		for name := range strings.SplitSeq(strings.ReplaceAll(m[1], "`", ""), ", ") {
			names++
			_, err := connect.Parse("rediss+sentinel://h/m?" + name + "=~")
			if err != nil && strings.Contains(err.Error(), "is unknown") {
				t.Errorf("parameter %s does not exist", name)
			}
		}
	}
	if names < 20 {
		t.Errorf("found %d parameters, want all of the page's", names)
	}
}
