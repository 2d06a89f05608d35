package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/redishttp/redishttp/examples/internal/exampletest"
	"github.com/redishttp/redishttp/internal/redistest"
)

const (
	nameField = "#name"
	textField = "#text"
)

// shows is true in a page that shows a message with exactly this text, once.
func shows(text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".message .text")].filter((e) => e.textContent === %q).length === 1`, text)
}

const live = `document.getElementById("link").dataset.state === "live"`

func transport(tab *exampletest.Tab, kind string) {
	tab.Text(fmt.Sprintf(`transport.value = %q; transport.dispatchEvent(new Event("change")); ""`, kind))
	tab.Wait(live)
}

func enter(tab *exampletest.Tab, name string) {
	tab.Type(nameField, name+"\r")
	tab.Wait(`!composer.hidden && document.activeElement.id === "text"`)
}

// Two people in two browsers on two instances, one over server-sent events, one
// over a WebSocket.
func TestTwoPeople(t *testing.T) {
	server := redistest.NewServer(t)
	binary := exampletest.Build(t)
	one := exampletest.Start(t, binary, server.URL(), "-burst", "50")
	two := exampletest.Start(t, binary, server.URL(), "-burst", "50")
	browser := exampletest.NewBrowser(t)
	ann := browser.Open(one.URL)
	bob := browser.Open(two.URL)
	for tab, name := range map[*exampletest.Tab]string{ann: "Ann", bob: "Bob"} {
		tab.Wait(live)
		for _, screen := range exampletest.Screens {
			tab.Look(screen, "chat-join")
			tab.Audit("before joining, " + screen.Name)
		}
		enter(tab, name)
	}
	transport(bob, "socket")
	say := func(tab *exampletest.Tab, text string) {
		t.Helper()
		tab.Type(textField, text+"\r")
		ann.Wait(shows(text))
		bob.Wait(shows(text))
	}
	say(ann, "Hello, is anybody there?")
	say(bob, "Yes. Over a WebSocket, on the other instance!")
	hostile := `<script>document.title = "owned"</script><img src=x onerror="document.title='owned'">`
	say(bob, hostile)
	for _, tab := range []*exampletest.Tab{ann, bob} {
		if title := tab.Text(`document.title`); title != "lobby · Chat" {
			t.Errorf("a message has run: the title is %q", title)
		}
		if n := tab.Text(`String(document.querySelectorAll(".log script, .log img").length)`); n != "0" {
			t.Errorf("a message became %s elements", n)
		}
	}
	say(ann, "A longer one, which does not fit into one line on a phone and should be broken where a word ends, not in the middle of it.")
	say(ann, strings.Repeat("unbreakable", 12))
	say(bob, "مرحبا")
	say(bob, "Short")
	for _, screen := range exampletest.Screens {
		ann.Look(screen, "chat")
		ann.Audit("in the room, " + screen.Name)
	}
}

// An instance is killed and started again. Its page comes back by itself and
// shows what was said meanwhile, each message once; and what its user says while
// there is nobody to say it to arrives, once.
func TestAPageComesBack(t *testing.T) {
	server := redistest.NewServer(t)
	binary := exampletest.Build(t)
	other := exampletest.Start(t, binary, server.URL(), "-burst", "100")
	bob := join(t, other.URL, "Bob")
	browser := exampletest.NewBrowser(t)
	for _, kind := range []string{"events", "socket"} {
		t.Run(kind, func(t *testing.T) {
			mine := exampletest.Start(t, binary, server.URL(), "-burst", "100")
			ann := browser.Open(mine.URL, "ERR_", "WebSocket", "502", "503")
			ann.Wait(live)
			transport(ann, kind)
			enter(ann, "Ann")
			bob.say(kind + " before")
			ann.Wait(shows(kind + " before"))
			mine.Kill()
			ann.Wait(`link.dataset.state !== "live"`)
			ann.Type(textField, kind+" into the void\r")
			ann.Wait(`notice.textContent.startsWith("Not sent yet")`)
			for i := range 5 {
				bob.say(fmt.Sprint(kind, " meanwhile ", i))
			}
			exampletest.Start(t, binary, server.URL(), "-burst", "100", "-listen", strings.TrimPrefix(mine.URL, "http://"))
			ann.Wait(live)
			for i := range 5 {
				ann.Wait(shows(fmt.Sprint(kind, " meanwhile ", i)))
			}
			ann.Wait(shows(kind + " into the void"))
			ann.Wait(`text.value === "" && notice.hidden`)
			if n := ann.Text(`String(new Set([...document.querySelectorAll(".message .text")].map((e) => e.textContent)).size - document.querySelectorAll(".message").length)`); n != "0" {
				t.Errorf("%s messages are there twice", n)
			}
			if n := ann.Text(`String(document.querySelectorAll(".note").length)`); n != "0" {
				t.Error("the page says that messages may be missing")
			}
		})
	}
}

// What is beside the messages: a name that changes, too many at once, new ones
// below while one reads above, and what is still there after a reload.
func TestThePage(t *testing.T) {
	server := redistest.NewServer(t)
	base := serve(t, server.URL(), func(c *config) { c.burst = 30 })
	browser := exampletest.NewBrowser(t)
	ann := browser.Open(base, "429")
	ann.Wait(live)
	ann.Text(`window.box = document.getElementById("scroll"); ""`)
	enter(ann, "Ann")
	bob := join(t, base, "Bob")
	for i := range 25 {
		bob.say(fmt.Sprint("line ", i))
	}
	ann.Wait(shows("line 24"))
	ann.Wait(`box.scrollTop + box.clientHeight > box.scrollHeight - 80`)
	ann.Text(`box.scrollTop = 0; ""`)
	ann.Wait(`box.scrollTop === 0`)
	bob.say("below")
	ann.Wait(`jump.textContent === "1 new message" && !jump.hidden`)
	for _, screen := range exampletest.Screens {
		ann.Look(screen, "chat-jump")
		ann.Audit("with new messages below, " + screen.Name)
	}
	ann.Text(`box.scrollTop = 0; ""`)
	bob.say("further below")
	ann.Wait(`!jump.hidden`)
	ann.Click("#jump")
	ann.Wait(`jump.hidden && box.scrollTop + box.clientHeight > box.scrollHeight - 80`)

	ann.Click("#rename")
	ann.Wait(`document.activeElement.id === "name" && document.getElementById("name").value === "Ann"`)
	ann.Type(nameField, "a\r")
	ann.Wait(`document.getElementById("my-name").textContent === "Anna"`)

	enough := make(chan struct{})
	var flood sync.WaitGroup
	flood.Go(func() { // whatever the limit gives back, on a machine that may be slow
		for {
			select {
			case <-enough:
				return
			default:
				if resp, err := bob.Post(base+"/rooms/lobby/messages", "application/json", strings.NewReader(`{"text":"flood"}`)); err == nil {
					resp.Body.Close()
				}
			}
		}
	})
	ann.Type(textField, "too many\r")
	ann.Wait(`notice.textContent.startsWith("Not so fast.") && text.value === "too many"`)
	close(enough)
	flood.Wait()
	ann.Audit("limited")

	ann.Go(base)
	ann.Wait(live)
	ann.Wait(shows("further below"))
	if name := ann.Text(`document.getElementById("my-name").textContent`); name != "Anna" {
		t.Errorf("after a reload the name is %q", name)
	}
}
