package main

import (
	"embed"
	"html/template"
	"net/http"
)

//go:embed static
var staticFiles embed.FS

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// page is a room for people. Its messages come over the stream, like all
// others.
func (a *app) page(w http.ResponseWriter, r *http.Request, room *room) {
	data := struct {
		Room  string
		Rooms []string
		Me    author
		Max   int
	}{room.room, a.config.rooms, a.author(r.Context()), maxText}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = pageTemplate.Execute(w, data) // else the client has gone
}
