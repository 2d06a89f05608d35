package admin

import (
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// complete has a value for each parameter of an action.
func complete(name string) url.Values {
	v := values("action", name, "conn", "default")
	for _, parameter := range slices.Concat(actions[name].Needs, actions[name].Takes) {
		v.Set(parameter, "value of "+parameter)
	}
	return v
}

// Every action takes its own parameters and no others, and none without one.
func TestChangeOfEveryAction(t *testing.T) {
	for name, a := range actions {
		if a.Title == "" || a.Button == "" || a.Warn == "" || a.Done == "" || a.Back == "" || a.do == nil {
			t.Errorf("%s lacks a text: %+v", name, a)
		}
		full := complete(name)
		full.Set("other", "ignored")
		c, err := changeOf(full)
		if err != nil || c.Has("other") || c.Get("action") != name || c.Get("conn") != "default" {
			t.Errorf("%s: got %v, %v", name, c.Values, err)
		}
		for _, parameter := range a.Needs {
			missing := complete(name)
			missing.Del(parameter)
			_, err := changeOf(missing)
			if optional := parameter == "label"; optional != (err == nil) || err != nil && !errors.Is(err, errBad) {
				t.Errorf("%s without %s: got %v", name, parameter, err)
			}
			long := complete(name)
			long.Set(parameter, strings.Repeat("x", maxParameter+1))
			if _, err := changeOf(long); !errors.Is(err, errBad) || !strings.Contains(err.Error(), parameter+" is too long") {
				t.Errorf("%s with a long %s: got %v", name, parameter, err)
			}
			long.Set(parameter, strings.Repeat("x", maxParameter))
			if _, err := changeOf(long); err != nil {
				t.Errorf("%s with the longest %s: got %v", name, parameter, err)
			}
		}
		for _, parameter := range a.Takes {
			missing := complete(name)
			missing.Del(parameter)
			if c, err := changeOf(missing); err != nil || c.Has(parameter) {
				t.Errorf("%s without %s: got %v, %v", name, parameter, c.Values, err)
			}
		}
	}
	for _, unknown := range []string{"", "flushall", "DELETE", "delete "} {
		if _, err := changeOf(values("action", unknown, "conn", "default", "key", "k")); !errors.Is(err, errBad) {
			t.Errorf("the action %q: got %v", unknown, err)
		}
	}
}

// A change comes back from its form byte by byte.
func TestAChangeSurvivesItsForm(t *testing.T) {
	for _, key := range []string{"k", "a b&c=d", "\xff\xfe\x00", "<b>\n", "{tag}:é", strings.Repeat("x", maxParameter)} {
		c, err := changeOf(values("action", "delete", "conn", "def ault", "key", key))
		if err != nil {
			t.Fatal(err)
		}
		what := c.what()
		if strings.ContainsAny(what, "+/= \"<>&") {
			t.Errorf("%q is not a word: %q", key, what)
		}
		back, err := parseWhat(what)
		if err != nil || back.Get("key") != key || back.Get("conn") != "def ault" || back.Get("action") != "delete" {
			t.Errorf("%q: got %v, %v", key, back.Values, err)
		}
	}
}

func TestWhatIsNoChange(t *testing.T) {
	word := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, what := range map[string]string{
		"nothing": "", "no base64": "%%%", "padded": "YWN0aW9uPWRlbGV0ZSZrZXk9aw==", "no query": word("%zz"), "no action": word("key=k"),
		"another action": word("action=flushall&key=k"), "no key": word("action=delete"), "semicolons": word("action=delete;key=k"),
		"long": word("action=delete&key=" + strings.Repeat("x", maxParameter+1)),
	} {
		if c, err := parseWhat(what); !errors.Is(err, errBad) {
			t.Errorf("%s: got %v, %v", name, c.Values, err)
		}
	}
}

func TestTheEventOfAChange(t *testing.T) {
	failure := errors.New("no")
	for _, c := range []struct {
		values      url.Values
		key, detail string
	}{
		{values("action", "delete", "conn", "c", "key", "k"), "k", ""},
		{values("action", "block", "conn", "c", "client", "203.0.113.7", "label", "api", "for", "15m"), "203.0.113.7", "label api, for 15m"},
		{values("action", "revoke", "conn", "c", "user", "ann", "label", "shop", "handle", "h"), "ann", "label shop, handle h"},
		{values("action", "purge", "conn", "c", "url", "http://h/", "soft", "yes"), "http://h/", "soft yes"},
		{values("action", "purge-all", "conn", "c", "label", "pages"), "", "label pages"},
		{values("action", "release", "conn", "c", "key", "k", "owner", "o"), "k", "owner o"},
	} {
		change, err := changeOf(c.values)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/act", nil)
		e := change.event(Access{User: "ann", Read: true, Write: true}, r, failure)
		if e.Key != c.key || e.Detail != c.detail || e.Action != c.values.Get("action") || e.Conn != "c" || e.User != "ann" || e.Remote != r.RemoteAddr || !errors.Is(e.Err, failure) || e.Time.IsZero() {
			t.Errorf("%v: got %+v", c.values, e)
		}
	}
}

// A confirmation names what is changed, and no token.
func TestTheSubjectOfAChange(t *testing.T) {
	p := panelOf(t)
	c, err := changeOf(values("action", "delete", "conn", "default", "key", "scs:session:hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.subject(p), []fact{{"Connection", "default"}, {"Key", "scs:session:" + masked}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name := range actions { // each parameter has a title
		c, err := changeOf(complete(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range c.subject(p) {
			if f.Name == "" {
				t.Errorf("%s: %q has no title", name, f.Text)
			}
		}
	}
	c, _ = changeOf(values("action", "delete", "conn", "default", "key", "idempotency:v1:p:"+someTag))
	if got := c.subject(p); len(got) != 3 || got[2].Name != "What follows" {
		t.Errorf("got %v", got)
	}
}

func TestBackToThePage(t *testing.T) {
	c, err := changeOf(values("action", "block", "conn", "a b", "client", "x", "label", "", "for", "1m"))
	if err != nil || c.back() != "limits?conn=a+b" {
		t.Errorf("got %q, %v", c.back(), err)
	}
}
