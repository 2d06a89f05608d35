package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/redishttp/redishttp/examples/internal/web"
)

// outcome is what became of a draft, for either kind of connection.
type outcome struct {
	Type   string `json:"type"` // sent, refused
	Nonce  string `json:"nonce,omitempty"`
	ID     string `json:"id,omitempty"`
	Status int    `json:"status"` // as HTTP has it
	Detail string `json:"detail,omitempty"`
	Retry  int    `json:"retry_after,omitempty"` // seconds
}

// say says a draft in a room. It is safe to say the same again, with the same
// nonce, after any failure.
func (a *app) say(ctx context.Context, r *room, by author, d draft) outcome {
	refused := func(status int, detail string) outcome {
		return outcome{Type: "refused", Nonce: d.Nonce, Status: status, Detail: detail}
	}
	if by.Name == "" {
		return refused(http.StatusForbidden, "Choose a name first.")
	}
	clean, err := d.clean()
	if err != nil {
		return refused(http.StatusUnprocessableEntity, err.Error())
	}
	if clean.Nonce == "" {
		clean.Nonce = rand.Text()
	}
	at, before, err := r.say(ctx, by, clean, r.seen())
	if err != nil {
		a.logger.LogAttrs(ctx, slog.LevelWarn, "message not said", slog.String("room", r.room), slog.String("cause", err.Error()))
		o := refused(http.StatusServiceUnavailable, "Try again in a moment.")
		o.Retry = 1
		return o
	}
	r.ring() // here at once; the others hear the bell
	o := outcome{Type: "sent", Nonce: d.Nonce, ID: at, Status: http.StatusCreated}
	if before {
		o.Status = http.StatusOK
	}
	return o
}

// post is say for requests.
func (a *app) post(w http.ResponseWriter, r *http.Request, room *room) {
	var d draft
	if !web.Decode(w, r, maxBody, &d) {
		return
	}
	o := a.say(r.Context(), room, a.author(r.Context()), d)
	if o.Type == "sent" {
		web.JSON(w, o.Status, o)
		return
	}
	if o.Retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(o.Retry))
	}
	web.Problem(w, o.Status, o.Detail)
}
