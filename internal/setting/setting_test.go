package setting_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/internal/setting"
)

func TestCheckReportsEveryMistake(t *testing.T) {
	check := setting.Check{Package: "ratelimit"}
	check.That(true, "WithName", "is never said")
	check.That(false, "WithTimeout", "%v is not above 0", "0s")
	check.Fail("rdb", "is nil")
	check.Fail("WithKey", "100% wrong") // no args: no format
	check.Join(nil)
	check.Join(errors.New("found elsewhere"))
	err := check.Err()
	if err == nil {
		t.Fatal("got no error")
	}
	want := "ratelimit: WithTimeout: 0s is not above 0\nratelimit: rdb: is nil\nratelimit: WithKey: 100% wrong\nfound elsewhere"
	if err.Error() != want {
		t.Errorf("got\n%v\nwant\n%v", err, want)
	}
	var mistake *setting.Error
	if !errors.As(err, &mistake) || mistake.Option != "WithTimeout" {
		t.Errorf("errors.As found %+v, want the first mistake", mistake)
	}
}

func TestCheckOfNothingIsNil(t *testing.T) {
	check := setting.Check{Package: "cache"}
	check.That(true, "WithName", "is never said")
	if err := check.Err(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestName(t *testing.T) {
	for value, ok := range map[string]bool{
		"a": true, "orders-2.v1_x": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, "{a}": false, "a:b": false, "ä": false, "a\n": false,
	} {
		check := setting.Check{Package: "lockmw"}
		check.Name("WithName", value)
		if got := check.Err() == nil; got != ok {
			t.Errorf("name %q: accepted %t, want %t", value, got, ok)
		}
	}
}

func TestInstance(t *testing.T) {
	check := setting.Check{Package: "connect", Instance: "sessions"}
	check.Fail("url", "is empty")
	var mistake *setting.Error
	if err := check.Err(); !errors.As(err, &mistake) || mistake.Instance != "sessions" || err.Error() != "connect: sessions: url: is empty" {
		t.Errorf("got %v", err)
	}
}

// A value with formatting verbs in it is text.
func TestReasonsAreFormattedOnce(t *testing.T) {
	check := setting.Check{Package: "cache"}
	check.That(false, "WithName", "%q is wrong", "100%d")
	if err := check.Err(); err.Error() != `cache: WithName: "100%d" is wrong` {
		t.Errorf("got %v", err)
	}
}
