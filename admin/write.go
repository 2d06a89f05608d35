package admin

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// change is one write as it was asked for: its parameters by name, of which
// "action" and "conn" are among.
type change struct {
	url.Values
	action action
}

// action is a kind of write.
type action struct {
	Title  string   // of the confirmation
	Button string   // that does it
	Warn   string   // what follows from it
	Needs  []string // parameters
	Takes  []string // and those that may be missing
	Back   string   // page to show then
	Done   string   // what to say there
	do     func(p *Panel, ctx context.Context, c change) error
}

// maxParameter bounds what a write can be asked about.
const maxParameter = 4000

// changeOf reads and checks the parameters of a write.
func changeOf(q url.Values) (change, error) {
	a, ok := actions[q.Get("action")]
	if !ok {
		return change{}, fmt.Errorf("%w: no such action", errBad)
	}
	c := change{url.Values{"action": {q.Get("action")}}, a}
	for _, name := range slices.Concat([]string{"conn"}, a.Needs, a.Takes) {
		switch v := q.Get(name); {
		case len(v) > maxParameter:
			return change{}, fmt.Errorf("%w: %s is too long", errBad, name)
		case v == "" && slices.Contains(a.Needs, name) && name != "label":
			return change{}, fmt.Errorf("%w: %s is missing", errBad, name)
		case v != "":
			c.Set(name, v)
		}
	}
	return c, nil
}

// what is a change in one word, for a form: in forms of browsers bytes that are
// no UTF-8 become others, and another key might be deleted.
func (c change) what() string { return base64.RawURLEncoding.EncodeToString([]byte(c.Encode())) }

func parseWhat(what string) (change, error) {
	b, err := base64.RawURLEncoding.DecodeString(what)
	if err != nil {
		return change{}, errBad
	}
	q, err := url.ParseQuery(string(b))
	if err != nil {
		return change{}, errBad
	}
	return changeOf(q)
}

type confirmView struct {
	action
	What  string
	Facts []fact
	Back  string
}

type fact struct{ Name, Text string }

// subject are the parameters that say what is changed, for people.
func (c change) subject(p *Panel) []fact {
	var facts []fact
	for _, name := range slices.Concat([]string{"conn"}, c.action.Needs, c.action.Takes) {
		if v := c.Get(name); v != "" {
			title := map[string]string{"conn": "Connection", "key": "Key", "label": "Of", "client": "Client", "user": "User", "handle": "Session", "url": "URL",
				"tag": "Tag", "owner": "Holder", "for": "For", "soft": "Softly"}[name]
			facts = append(facts, fact{title, p.mask(v)})
		}
	}
	if o, ok := p.ownerOf(c.Get("key")); ok && o.Kind == requestKind {
		facts = append(facts, fact{"What follows", "the request runs again when it is sent again, whatever it has done"})
	}
	return facts
}

func (c change) back() string { return link(c.action.Back, "conn", c.Get("conn")) }

// confirmPage shows what is about to happen. It changes nothing.
func (p *Panel) confirmPage(w http.ResponseWriter, r *http.Request) {
	if !accessOf(r.Context()).Write {
		p.fail(w, r, http.StatusForbidden, "You may read, but not change anything.")
		return
	}
	c, err := changeOf(r.URL.Query())
	if err == nil {
		err = p.allowed(c)
	}
	if err != nil {
		p.failed(w, r, err)
		return
	}
	p.show(w, r, page{View: "confirm", Title: c.action.Title, Conn: c.Get("conn"), Here: c.action.Back,
		Body: confirmView{c.action, c.what(), c.subject(p), c.back()}})
}

// act does what was confirmed, and tells the audit hook.
func (p *Panel) act(w http.ResponseWriter, r *http.Request) {
	access := accessOf(r.Context())
	if !access.Write {
		p.fail(w, r, http.StatusForbidden, "You may read, but not change anything.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	c, err := parseWhat(r.PostFormValue("what"))
	if err == nil && r.PostFormValue("confirmed") != "yes" {
		err = fmt.Errorf("%w: it was not confirmed", errBad)
	}
	if err != nil {
		p.failed(w, r, err)
		return
	}
	// What was confirmed is done although the client may have gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), p.timeout)
	defer cancel()
	if err = p.allowed(c); err == nil {
		err = c.action.do(p, ctx, c)
	}
	if p.audit != nil {
		p.audit(ctx, c.event(access, r, err))
	}
	if err != nil {
		p.failed(w, r, err)
		return
	}
	w.Header().Set("Location", link(c.action.Back, "conn", c.Get("conn"), "done", c.Get("action")))
	w.WriteHeader(http.StatusSeeOther)
}

func (c change) event(a Access, r *http.Request, err error) Event {
	e := Event{Time: time.Now(), User: a.User, Remote: r.RemoteAddr, Action: c.Get("action"), Conn: c.Get("conn"), Err: err}
	for _, name := range slices.Concat(c.action.Needs, c.action.Takes) {
		switch v := c.Get(name); {
		case v == "":
		case e.Key == "" && name != "label":
			e.Key = v
		case e.Detail != "":
			e.Detail += ", "
			fallthrough
		default:
			e.Detail += name + " " + v
		}
	}
	return e
}
