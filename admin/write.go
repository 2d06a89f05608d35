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

// change is one requested write: its parameters by name, with "action" and "conn"
// among them.
type change struct {
	url.Values
	action action
}

// action is a kind of write.
type action struct {
	// Title and Warn are the heading and the consequences on the confirmation, Button
	// is what confirms it.
	Title  string
	Button string
	Warn   string
	// Needs are the required parameters, Takes the optional ones. A label may be
	// empty.
	Needs []string
	Takes []string
	// Back is the page to show afterwards, Done the notice there.
	Back string
	Done string
	do   func(p *Panel, ctx context.Context, c change) error
}

// maxParameter bounds the length of each parameter.
const maxParameter = 4000

// changeOf reads and checks the parameters of a write, and drops all others.
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

// what encodes a change as one word, for the confirmation's form. Browsers replace
// bytes that are not UTF-8 in form fields, so that another key could be deleted.
func (c change) what() string { return base64.RawURLEncoding.EncodeToString([]byte(c.Encode())) }

// parseWhat is the inverse of what. The word comes from the client: it is checked as
// any query is.
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

// confirmView is the data of a confirmation. What is the change as one word.
type confirmView struct {
	action
	What  string
	Facts []fact
	Back  string
}

// fact is a name with a value, as tables of two columns show them.
type fact struct{ Name, Text string }

// subject returns the parameters for the operator to read, without tokens.
func (c change) subject(p *Panel) []fact {
	var facts []fact
	for _, name := range slices.Concat([]string{"conn"}, c.action.Needs, c.action.Takes) {
		if v := c.Get(name); v != "" {
			title := map[string]string{
				"conn": "Connection", "key": "Key", "label": "Of", "client": "Client", "user": "User", "handle": "Session", "url": "URL",
				"tag": "Tag", "owner": "Holder", "for": "For", "soft": "Softly",
			}[name]
			facts = append(facts, fact{title, p.mask(v)})
		}
	}
	if o, ok := p.ownerOf(c.Get("key")); ok && o.Kind == requestKind {
		facts = append(facts, fact{"What follows", "the request runs again when it is sent again, whatever it has done"})
	}
	return facts
}

// back is the link to the page that a change was made from.
func (c change) back() string { return link(c.action.Back, "conn", c.Get("conn")) }

// confirmPage shows what a write would do. It changes nothing.
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
	p.show(w, r, page{
		View: "confirm", Title: c.action.Title, Conn: c.Get("conn"), Here: c.action.Back,
		Body: confirmView{c.action, c.what(), c.subject(p), c.back()},
	})
}

// act does a confirmed write, calls the audit hook, and redirects to the page that
// shows the result.
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
	// A confirmed write is done even if the client is gone.
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

// event describes the write for the audit hook. Key is the first parameter that is
// not a label, Detail the rest.
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
