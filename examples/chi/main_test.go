package main

import (
	"testing"

	"github.com/redishttp/redishttp/examples/stdlib/smoke"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestTheProgram(t *testing.T) { smoke.Run(t) }
