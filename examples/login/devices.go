package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/session"
)

// device is a line of the list.
type device struct {
	session.Device
	Name  string
	Phone bool
	Seen  string // "" for one that stays logged in: it is not known
}

func (a *app) devicesPage(w http.ResponseWriter, r *http.Request, user string) {
	ctx := r.Context()
	found, err := a.sessions.Sessions(ctx, user)
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	page := struct {
		User    string
		Devices []device // this one first
		Flashes []session.Flash
	}{User: user, Flashes: a.sessions.Flashes(ctx)}
	for _, d := range found {
		name, phone := describe(d.UserAgent)
		line := device{Device: d, Name: name, Phone: phone}
		if !d.LastSeen.IsZero() {
			line.Seen = ago(time.Since(d.LastSeen))
		}
		if d.Current {
			page.Devices = append([]device{line}, page.Devices...)
		} else {
			page.Devices = append(page.Devices, line)
		}
	}
	a.show(w, http.StatusOK, "devices.html", page)
}

// revoke ends one device. A handle names a session of this user or none, so
// there is nothing to gain from another's.
func (a *app) revoke(w http.ResponseWriter, r *http.Request, user string) {
	ctx := r.Context()
	err := a.sessions.Revoke(ctx, user, r.PathValue("handle"))
	switch {
	case errors.Is(err, session.ErrGone):
		a.sessions.AddFlash(ctx, "info", "That device is logged out already.")
	case err != nil:
		a.unavailable(w, r, err)
		return
	default:
		a.sessions.AddFlash(ctx, "success", "The device is logged out.")
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) revokeOthers(w http.ResponseWriter, r *http.Request, _ string) {
	ctx := r.Context()
	n, err := a.sessions.RevokeOthers(ctx)
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	text := fmt.Sprintf("%d other devices are logged out.", n)
	if n == 1 {
		text = "The other device is logged out."
	}
	a.sessions.AddFlash(ctx, "success", text)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) revokeAll(w http.ResponseWriter, r *http.Request, user string) {
	ctx := r.Context()
	if _, err := a.sessions.RevokeAll(ctx, user); err != nil {
		a.unavailable(w, r, err)
		return
	}
	if err := a.sessions.Destroy(ctx); err != nil { // takes this browser's cookie away as well
		a.unavailable(w, r, err)
		return
	}
	http.Redirect(w, r, "/login?notice=everywhere", http.StatusSeeOther)
}

// ago says how long ago a device was seen, which is known to a tenth of the
// idle time: three minutes.
func ago(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit + " ago"
		}
		return fmt.Sprint(n, " ", unit, "s ago")
	}
	switch {
	case d < 4*time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute")
	default:
		return count(int(d/time.Hour), "hour")
	}
}
