package cache

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

func FuzzDecode(f *testing.F) {
	e := &entry{
		target: "t", inc: "i", seq: 3, status: 200, age: time.Second, Lives: rules.Lives{Fresh: time.Minute, Keep: time.Hour, Strict: true},
		tags: []string{"x"}, size: 4, header: http.Header{"A": {"1", "2"}}, body: []byte("body"),
	}
	f.Add(e.encode())
	f.Add([]byte{entryVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeEntry(b)
		if err != nil {
			return
		}
		_, _ = got.inline() // may fail, must not panic
		again, err := decodeEntry(got.encode())
		if err != nil || !reflect.DeepEqual(again.header, got.header) || string(again.body) != string(got.body) || again.target != got.target {
			t.Errorf("not the same again: %+v, %+v, %v", got, again, err)
		}
	})
}
