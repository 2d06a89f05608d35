package main

import (
	"fmt"
	"testing"

	"github.com/redishttp/redishttp/examples/internal/exampletest"
	"github.com/redishttp/redishttp/internal/redistest"
)

// One submits a score, and the other's page shows it; on two instances.
func TestThePage(t *testing.T) {
	server := redistest.NewServer(t)
	binary := exampletest.Build(t)
	one := exampletest.Start(t, binary, server.URL(), "-burst", "300")
	two := exampletest.Start(t, binary, server.URL(), "-burst", "300")
	board, _ := newBoard(t, server.URL(), "main")
	browser := exampletest.NewBrowser(t)
	ann, bob := browser.Open(one.URL), browser.Open(two.URL)
	live := `document.getElementById("live").dataset.state === "live"`
	for _, tab := range []*exampletest.Tab{ann, bob} {
		tab.Wait(live)
	}
	for _, screen := range exampletest.Screens {
		ann.Look(screen, "leaderboard-empty")
		ann.Audit("the empty board, " + screen.Name)
	}
	bob.Text(`window.same = true; ""`) // a page that was loaded anew would not have it

	submit := func(tab *exampletest.Tab, name, score, result string) {
		t.Helper()
		tab.Text(`document.getElementById("name").value = document.getElementById("score").value = ""; ""`)
		tab.Type("#name", name)
		tab.Type("#score", score+"\r")
		tab.Wait(fmt.Sprintf(`document.getElementById("result").textContent === %q`, result))
	}
	// first is true in a page with this on the first place.
	first := func(name, score string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("#podium .row")].slice(0, 1).some((e) =>
			e.querySelector(".name").textContent.trim() === %q && e.querySelector(".score").firstChild.data.trim() === %q)`, name, score)
	}
	submit(ann, "Ann", "4200", "A new best! Rank 1 of 1.")
	ann.Wait(first("Ann", "4,200"))
	bob.Wait(first("Ann", "4,200"))
	submit(ann, "Ann", "17", "Your best of 4,200 stands. Rank 1 of 1.")
	hostile := `<img src=x onerror=a()>`
	submit(bob, hostile, "5000", "A new best! Rank 1 of 2.")
	bob.Wait(first(hostile, "5,000"))
	ann.Wait(first(hostile, "5,000"))
	if n := ann.Text(`String(document.querySelectorAll("main img").length)`); n != "0" {
		t.Errorf("a name became %s elements", n)
	}
	if same := bob.Text(`String(window.same)`); same != "true" {
		t.Error("the page was loaded anew")
	}

	for i, name := range []string{"Mira", "Jonas", "Aiko", "Samuel L.", "Zoë", "王小明", "A very long name, really", "Noor", "Ingrid", "Ravi", "Tom"} {
		newPlayer(t, one.URL).submit(name, 3900-i*271+i*i*7)
	}
	ann.Wait(`document.querySelectorAll("#rest .row").length === 7`)
	ann.Click("#roll")
	ann.Wait(`document.getElementById("score").value !== ""`)
	submit(bob, "Bob", "1", "Your best of 5,000 stands. Rank 1 of 13.")
	ann.Wait(first("Bob", "5,000"))
	for _, screen := range exampletest.Screens {
		ann.Look(screen, "leaderboard")
		ann.Audit("the board, " + screen.Name)
	}
	for i := range 1100 { // ranks of four digits, and the largest score, on the smallest screen
		if _, err := board.Submit(t.Context(), fmt.Sprint("other ", i), "Somebody", int64(maxScore-i)); err != nil {
			t.Fatal(err)
		}
	}
	submit(ann, "Ann", "4201", "A new best! Rank 1,102 of 1,113.")
	ann.Wait(first("Somebody", points(maxScore)))
	for _, screen := range exampletest.Screens[2:] {
		ann.Look(screen, "leaderboard-wide")
		ann.Audit("large numbers, " + screen.Name)
	}
	ann.Go(one.URL) // as the server draws it
	ann.Wait(live)
	ann.Wait(first("Somebody", points(maxScore)))
	ann.Audit("the board as it was drawn")
}
