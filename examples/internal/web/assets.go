package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"time"
)

//go:embed base.css
var base embed.FS

// asset is one file of a page.
type asset struct {
	body []byte
	etag string
}

// Assets serves the files in a folder of files, and base.css, by their names at
// /static/{file}. A browser asks each time whether its copy still holds, and is
// answered 304: so a new version is seen at once and needs no name of its own.
func Assets(files fs.FS, folder string) (http.Handler, error) {
	files, err := fs.Sub(files, folder)
	if err != nil {
		return nil, fmt.Errorf("web: assets: %w", err)
	}
	assets := map[string]asset{}
	for _, dir := range []fs.FS{base, files} {
		names, err := fs.Glob(dir, "*")
		if err != nil {
			return nil, fmt.Errorf("web: assets: %w", err)
		}
		for _, name := range names {
			body, err := fs.ReadFile(dir, name)
			if err != nil {
				return nil, fmt.Errorf("web: assets: %w", err)
			}
			sum := sha256.Sum256(body)
			assets[name] = asset{body, `"` + hex.EncodeToString(sum[:8]) + `"`}
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := assets[r.PathValue("file")]
		if !ok {
			Problem(w, http.StatusNotFound, "There is no such file.")
			return
		}
		w.Header().Set("ETag", a.etag)
		w.Header().Set("Cache-Control", "public, no-cache")
		http.ServeContent(w, r, r.PathValue("file"), time.Time{}, bytes.NewReader(a.body))
	}), nil
}
