package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/redishttp/redishttp/examples/internal/web"
	"github.com/redishttp/redishttp/session"
)

//go:embed static
var staticFiles embed.FS

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"points": points, "initial": initial, "hue": hue,
	"row": func(r Row, me string) any {
		return struct {
			Row
			Mine bool
		}{r, r.Player == me}
	},
}).Parse(pageSource))

// page is the board for people. It is whole without its script, which keeps it
// up to date.
func (a *app) page(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	player, name := a.me(ctx)
	top, err := a.board.Top(ctx, topRows)
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	around, err := a.board.Around(ctx, player, aroundRows)
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	best := ""
	for _, row := range around.Rows {
		if row.Player == player {
			best = fmt.Sprintf("Rank %d of %d with %s points.", row.Rank, around.Players, points(row.Score))
		}
	}
	data := struct {
		Me, Name, Best string
		Players        int64
		Podium, Rest   []Row
		Around         []Row
		Flashes        []session.Flash
		MaxName        int
	}{player, name, best, top.Players, top.Rows[:min(3, len(top.Rows))], top.Rows[min(3, len(top.Rows)):], around.Rows, a.sessions.Flashes(ctx), web.MaxName}
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, data); err != nil {
		a.unavailable(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(page.Bytes())
}

// form is submit for a page without its script.
func (a *app) form(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	ctx := r.Context()
	name, nameErr := web.Name(r.PostFormValue("name"))
	score, scoreErr := strconv.ParseInt(r.PostFormValue("score"), 10, 64)
	flash := func(kind, text string) { a.sessions.AddFlash(ctx, kind, text) }
	switch {
	case nameErr != nil:
		flash("error", web.NameRule)
	case scoreErr != nil:
		flash("error", scoreRule)
	default:
		standing, err := a.enter(ctx, name, score)
		switch {
		case errors.Is(err, ErrScore):
			flash("error", scoreRule)
		case err != nil:
			web.Unavailable(w)
			return
		case standing.Improved:
			flash("success", "A new best!")
		default:
			flash("info", "Your best of "+points(standing.Best)+" stands.")
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// points is 1,234,567.
func points(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "−", s[1:]
	}
	var groups []string
	for len(s) > 3 {
		groups = append([]string{s[len(s)-3:]}, groups...)
		s = s[:len(s)-3]
	}
	return sign + strings.Join(append([]string{s}, groups...), ",")
}

func initial(name string) string {
	for _, c := range name {
		return strings.ToUpper(string(c))
	}
	return "?"
}

// hue is one of eight colours for a player; the script has the same.
func hue(player string) uint32 {
	sum := uint32(0)
	for _, c := range player {
		sum = sum*31 + uint32(c)
	}
	return sum % 8
}
