package rules

import (
	"net/http"
	"testing"
)

func TestCompressible(t *testing.T) {
	for kind, want := range map[string]bool{
		"text/html": true, "text/css; charset=utf-8": true, "TEXT/Plain": true, " text/html ": true,
		"application/json": true, "application/problem+json;charset=utf-8": true, "application/ld+json": true,
		"application/xml": true, "image/svg+xml": true, "application/atom+xml": true,
		"application/javascript": true, "Application/JavaScript ;x=y": true, "application/wasm": true,
		"": false, "image/png": false, "application/octet-stream": false, "application/gzip": false, "video/mp4": false,
		"font/woff2": false, "textual/html": false, "application/javascripts": false, "image/png; x=application/json": false,
	} {
		if got := Compressible(http.Header{"Content-Type": {kind}}); got != want {
			t.Errorf("%q: %v, want %v", kind, got, want)
		}
	}
	if Compressible(http.Header{}) {
		t.Error("without a type: true, want false")
	}
	for name, h := range map[string]http.Header{
		"coded already":            {"Content-Type": {"text/html"}, "Content-Encoding": {"br"}},
		"no-transform (RFC 9111)":  {"Content-Type": {"text/html"}, "Cache-Control": {"max-age=60, no-transform"}},
		"no-transform, other line": {"Content-Type": {"text/html"}, "Cache-Control": {"max-age=60", "No-Transform"}},
	} {
		if Compressible(h) {
			t.Errorf("%s: true, want false", name)
		}
	}
}
