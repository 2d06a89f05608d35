package store

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

func FuzzDecode(f *testing.F) {
	e := &Entry{
		Target: "t", Inc: "i", Seq: 3, Status: 200, Age: time.Second,
		Verdict: rules.Verdict{Lives: rules.Lives{Fresh: time.Minute, Keep: time.Hour, Strict: true}, Tags: []string{"x"}},
		Size:    4, Header: http.Header{"A": {"1", "2"}}, Body: []byte("body"),
	}
	f.Add(e.Encode())
	f.Add([]byte{EntryVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeEntry(b)
		if err != nil {
			return
		}
		_, _ = got.Inline() // may fail, must not panic
		again, err := DecodeEntry(got.Encode())
		if err != nil || !reflect.DeepEqual(again.Header, got.Header) || string(again.Body) != string(got.Body) || again.Target != got.Target {
			t.Errorf("not the same again: %+v, %+v, %v", got, again, err)
		}
	})
}
