package chaintest

import (
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }
