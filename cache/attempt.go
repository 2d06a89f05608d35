package cache

import (
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache/internal/store"
	"github.com/redishttp/redishttp/internal/respw"
	"github.com/redishttp/redishttp/internal/tail"
)

// attempt is one call of the handler. Its exchange has a request of its own,
// because the handler may change the one that it gets.
type attempt struct {
	exchange
	given   *http.Request // the handler's
	before  http.Header
	around  http.Header // what outer middlewares say, see rules.Around
	own     http.Header // what the handler says
	begun   time.Time
	asks    bool // with a condition of ours
	quiet   bool // there is no client
	e       *store.Entry
	length  int64 // what Content-Length promises, -1 for nothing
	rec     *store.Recorder
	wrapper *respw.Writer
	after   func() // what is to be stored instead of the handler's response
	filled  bool   // something was stored
	tail    tail.Tail
}
