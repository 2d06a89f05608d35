package peerbench

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
)

// moment is how long a contender works in a round.
var moment = 300 * time.Millisecond

func TestMain(m *testing.M) {
	if text := os.Getenv("PEERBENCH_MOMENT"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			fmt.Fprintln(os.Stderr, "PEERBENCH_MOMENT: a duration such as 50ms, not", text)
			os.Exit(2)
		}
		moment = d
	}
	redistest.Main(m)
}
