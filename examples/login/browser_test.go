package main

import (
	"fmt"
	"testing"

	"github.com/redishttp/redishttp/examples/internal/exampletest"
	"github.com/redishttp/redishttp/internal/redistest"
)

// A user in a real browser: a wrong password, the right one, a device that is
// ended while its own page is open, and the way out.
func TestThePages(t *testing.T) {
	browser := exampletest.NewBrowser(t)
	base := exampletest.Start(t, exampletest.Build(t), redistest.NewServer(t).URL(), "-by-address", "100", "-by-name", "100", "-rounds", "1000").URL
	home := browser.Open(base, "status of 401")
	look := func(tab *exampletest.Tab, picture string) {
		t.Helper()
		for _, screen := range exampletest.Screens {
			tab.Look(screen, picture)
			tab.Audit(picture + ", " + screen.Name)
		}
	}
	login := func(tab *exampletest.Tab, password string) {
		t.Helper()
		tab.Text(`document.getElementById("user").value = document.getElementById("password").value = ""; ""`)
		tab.Type("#user", "ann")
		tab.Type("#password", password+"\r")
	}
	says := func(tab *exampletest.Tab, text string) {
		t.Helper()
		tab.Wait(fmt.Sprintf(`document.querySelector(".notice")?.textContent === %q`, text))
	}
	devices := func(tab *exampletest.Tab, n int) {
		t.Helper()
		tab.Wait(fmt.Sprintf(`document.querySelectorAll(".device").length === %d && document.querySelectorAll(".device.current").length === 1`, n))
	}
	look(home, "login")
	login(home, "wrong")
	says(home, "The user name or the password is wrong.")
	look(home, "login-wrong")
	login(home, annPW)
	devices(home, 1)

	for _, agent := range []string{phone, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "curl/8.14.1"} {
		if p := newVisitor(t, base, agent).login("ann", annPW); !isIn(p) {
			t.Fatalf("login: %d %s", p.status, p.path)
		}
	}
	away := browser.Open(base)
	login(away, annPW)
	devices(away, 5)
	home.Go(base)
	devices(home, 5)
	home.Click(".device:nth-child(3) summary")
	home.Wait(`document.querySelector(".device:nth-child(3) details").open`)
	look(home, "devices")

	handle := away.Text(`document.querySelector(".device.current").dataset.handle`)
	home.Click(fmt.Sprintf(`[data-handle=%q] button`, handle))
	says(home, "The device is logged out.")
	devices(home, 4)
	look(home, "devices-revoked")
	away.Click("#others") // on a page that is still there
	says(away, "Your session has ended. Log in again.")
	away.Click("[name=remember]")
	away.Wait(`document.querySelector("[name=remember]").checked`)
	look(away, "login-ended")
	devices(home, 4) // it has ended nobody

	login(away, annPW)
	devices(away, 5)
	home.Click("#everywhere")
	says(home, "You are logged out on all devices.")
	away.Click("#logout")
	says(away, "Your session has ended. Log in again.")
}
