package lockmw

import "testing"

// FuzzDecodeAnswer: no reply makes a panic or a grant without a fence.
func FuzzDecodeAnswer(f *testing.F) {
	f.Add(int64(1), "17", int64(5), 3)
	f.Add(int64(0), "", int64(-5), 2)
	f.Fuzz(func(t *testing.T, code int64, fence string, left int64, n int) {
		list := []any{code, fence, left}
		for _, reply := range []any{nil, fence, code, list[:max(0, min(n, 3))], list, []any{fence, code, fence}} {
			if a, err := decodeAnswer(reply); err == nil && (a.granted && a.fence == 0 || a.left < 0) {
				t.Errorf("%v: got %+v", reply, a)
			}
		}
	})
}
