package boundedmap_test

import (
	"testing"

	"github.com/redishttp/redishttp/internal/boundedmap"
)

func TestFullMapEvictsAnother(t *testing.T) {
	m := boundedmap.New[int, string](3)
	for i := range 100 {
		m.Set(i, "x")
		if v, ok := m.Get(i); !ok || v != "x" {
			t.Fatalf("the entry %d that was just set is not there", i)
		}
		if want := min(i+1, 3); m.Len() != want {
			t.Fatalf("got %d entries, want %d", m.Len(), want)
		}
	}
}

func TestSetOfAKnownKeyEvictsNothing(t *testing.T) {
	m := boundedmap.New[string, int](2)
	m.Set("a", 1)
	m.Set("b", 2)
	m.Set("a", 3)
	a, _ := m.Get("a")
	b, ok := m.Get("b")
	if a != 3 || b != 2 || !ok {
		t.Errorf("got a=%d b=%d, want 3 and 2", a, b)
	}
}

func TestDelete(t *testing.T) {
	m := boundedmap.New[int, int](0) // at least one
	m.Set(1, 1)
	m.Delete(1)
	if _, ok := m.Get(1); ok {
		t.Error("a deleted key is there")
	}
	m = boundedmap.New[int, int](10)
	for i := range 10 {
		m.Set(i, i)
	}
	m.DeleteFunc(func(_, v int) bool { return v%2 == 0 })
	if m.Len() != 5 {
		t.Errorf("got %d entries, want the 5 odd ones", m.Len())
	}
	if m.Clear(); m.Len() != 0 {
		t.Errorf("got %d entries after Clear", m.Len())
	}
}
