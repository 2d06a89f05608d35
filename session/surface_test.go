package session_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/alexedwards/scs/v2"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// withheld are scs' methods that have no place here, and why.
var withheld = map[string]string{
	"Load":               "the Handler loads",
	"WriteSessionCookie": "the Handler writes the cookie, once",
}

// Every method of scs is here by name and signature, or withheld on purpose, and
// nothing of scs is promoted: no field that does nothing.
func TestTheSurfaceOfScs(t *testing.T) {
	ours, theirs := reflect.TypeFor[*session.Manager](), reflect.TypeFor[*scs.SessionManager]()
	for method := range theirs.Methods() {
		name := method.Name
		m, ok := ours.MethodByName(name)
		if _, no := withheld[name]; no {
			if ok {
				t.Errorf("%s is withheld, and there", name)
			}
			delete(withheld, name)
			continue
		}
		if !ok {
			t.Errorf("scs' %s is neither here nor withheld", name)
			continue
		}
		want, got := method.Type.String(), m.Type.String()
		_, want, _ = strings.Cut(want, "*scs.SessionManager")
		_, got, _ = strings.Cut(got, "*session.Manager")
		if got != want {
			t.Errorf("%s%s, scs has %s", name, got, want)
		}
	}
	for name := range withheld {
		t.Errorf("scs has no %s any more", name)
	}
	for f := range ours.Elem().Fields() {
		if f.IsExported() {
			t.Errorf("the field %s is exported", f.Name)
		}
	}
	for _, f := range reflect.VisibleFields(ours.Elem()) {
		if f.IsExported() && len(f.Index) == 2 {
			t.Errorf("%s is promoted", f.Name)
		}
	}
}

// Without a session in the context the message says what to pass.
func TestNoSessionInTheContext(t *testing.T) {
	m, err := session.New(redistest.Standalone(t).Client(t))
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(m)
	tried := 0
	for i := range v.NumMethod() {
		name, typ := v.Type().Method(i).Name, v.Method(i).Type()
		scsHas, _ := reflect.TypeFor[*scs.SessionManager]().MethodByName(name)
		if typ.NumIn() == 0 || typ.In(0) != reflect.TypeFor[context.Context]() || scsHas.Name == "" || name == "Iterate" {
			continue
		}
		tried++
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for j := 1; j < typ.NumIn(); j++ {
			args = append(args, reflect.New(typ.In(j)).Elem())
		}
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "c.Request.Context()") || !strings.Contains(text, "r.Context()") {
					t.Errorf("%s: %q", name, text)
				}
			}()
			v.Method(i).Call(args)
		}()
	}
	if tried < 25 {
		t.Errorf("only %d methods were tried", tried)
	}
}
