package main

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/redishttp/redishttp/examples/internal/web"
)

const (
	topRows    = 10
	aroundRows = 2
	maxRows    = 100
	maxBody    = 4 << 10
	scoreRule  = "A score is a whole number of at most 9007199254740991."
)

// top answers GET /api/scores?n=10: the n best, the same for everybody. It may
// be a second old, but not in a browser, which asks each time.
func (a *app) top(w http.ResponseWriter, r *http.Request) {
	n, ok := count(w, r, topRows)
	if !ok {
		return
	}
	rows, err := a.board.Top(r.Context(), n)
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=0, s-maxage=1")
	web.JSON(w, http.StatusOK, rows)
}

// around answers GET /api/around?n=2: the session's player with the n above and
// the n below.
func (a *app) around(w http.ResponseWriter, r *http.Request) {
	n, ok := count(w, r, aroundRows)
	if !ok {
		return
	}
	player, _ := a.me(r.Context())
	rows, err := a.board.Around(r.Context(), player, n)
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	web.JSON(w, http.StatusOK, struct {
		Player string `json:"player"`
		Rows
	}{player, rows})
}

// submit answers POST /api/scores with {"name": …, "score": …}.
func (a *app) submit(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name  string `json:"name"`
		Score *int64 `json:"score"`
	}
	if !web.Decode(w, r, maxBody, &body) {
		return
	}
	name, err := web.Name(body.Name)
	switch {
	case err != nil:
		web.Problem(w, http.StatusUnprocessableEntity, web.NameRule)
		return
	case body.Score == nil:
		web.Problem(w, http.StatusUnprocessableEntity, scoreRule)
		return
	}
	standing, err := a.enter(r.Context(), name, *body.Score)
	switch {
	case errors.Is(err, ErrScore):
		web.Problem(w, http.StatusUnprocessableEntity, scoreRule)
	case err != nil:
		web.Unavailable(w)
	default:
		player, _ := a.me(r.Context())
		web.JSON(w, http.StatusOK, struct {
			Player string `json:"player"`
			Name   string `json:"name"`
			Standing
		}{player, name, standing})
	}
}

// count is the parameter n of a request, which it answers itself if it is bad.
func count(w http.ResponseWriter, r *http.Request, without int) (int, bool) {
	s := r.URL.Query().Get("n")
	if s == "" {
		return without, true
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxRows {
		web.Problem(w, http.StatusBadRequest, "n is from 1 to "+strconv.Itoa(maxRows)+".")
		return 0, false
	}
	return n, true
}

func (a *app) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	a.logger.LogAttrs(r.Context(), slog.LevelWarn, "board cannot be read", slog.String("cause", err.Error()))
	web.Unavailable(w)
}
