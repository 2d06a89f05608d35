package problem_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/redishttp/redishttp/internal/problem"
)

func TestWithStatus(t *testing.T) {
	for name, tc := range map[string]struct {
		write func(w http.ResponseWriter)
		want  int
	}{
		"nothing":       {func(http.ResponseWriter) {}, 503},
		"body only":     {func(w http.ResponseWriter) { io.WriteString(w, "sorry") }, 503},
		"own status":    {func(w http.ResponseWriter) { w.WriteHeader(418); io.WriteString(w, "sorry") }, 418},
		"informational": {func(w http.ResponseWriter) { w.WriteHeader(103) }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				writer, done := problem.WithStatus(w, 503)
				tc.write(writer)
				done()
			}))
			defer server.Close()
			resp, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tc.want {
				t.Errorf("got %d, want %d", resp.StatusCode, tc.want)
			}
		})
	}
}

// What a deny handler does through http.ResponseController reaches the server.
func TestWithStatusIsNoWall(t *testing.T) {
	w := httptest.NewRecorder()
	writer, done := problem.WithStatus(w, 503)
	io.WriteString(writer, "sorry")
	if err := http.NewResponseController(writer).Flush(); err != nil || !w.Flushed {
		t.Errorf("flush: %v, flushed %t", err, w.Flushed)
	}
	if done(); w.Code != 503 || w.Body.String() != "sorry" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
}
