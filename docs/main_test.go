// Package docs_test holds the pages to what they say: links lead somewhere, code
// compiles, rules for Redis users suffice, keys and sizes are as documented.
package docs_test

import (
	"os"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
)

// patience is how long a test waits for what is sure to come.
const patience = 20 * time.Second

// TestMain runs the tests at the root of the module, where the pages' links and
// the packages' files are named from.
func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	redistest.Main(m)
}
