package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/examples/internal/exampletest"
	"github.com/redishttp/redishttp/internal/redistest"
)

const patience = time.Minute

// operator is an operator's tab.
type operator struct {
	*exampletest.Tab
	t        *testing.T
	base     string
	topology string
}

// login opens the panel with a password in its address, which the browser
// keeps for the pages that follow.
func login(t *testing.T, b *exampletest.Browser, url, topology string) *operator {
	t.Helper()
	tab := b.Open(strings.Replace(url, "http://", "http://operator:"+testPassword+"@", 1)+"/admin/", "status of 404") // of a key that is not there
	o := &operator{tab, t, url + "/admin/", topology}
	o.visit("")
	return o
}

func (o *operator) visit(page string) {
	o.t.Helper()
	o.Go(o.base + page)
}

// says is true in a page that says all of this.
func says(want ...string) string {
	all := []string{"true"}
	for _, w := range want {
		all = append(all, fmt.Sprintf("document.querySelector('main').innerText.includes(%q)", w))
	}
	return strings.Join(all, " && ")
}

func (o *operator) wait(want ...string) {
	o.t.Helper()
	o.Wait("document.readyState === 'complete' && document.querySelector('main') && " + says(want...))
}

// find opens a page until it says so.
func (o *operator) find(page string, want ...string) {
	o.t.Helper()
	redistest.Eventually(o.t, patience, func() bool {
		o.visit(page)
		return o.Text("String("+says(want...)+")") == "true"
	}, "%s does not say %q", page, want)
}

// look looks at the page on every screen.
func (o *operator) look(page string) {
	o.t.Helper()
	for _, screen := range exampletest.Screens {
		o.Look(screen, "admin-"+o.topology+"-"+page)
		o.Audit(page + ", " + screen.Name)
	}
	o.Look(exampletest.Screens[0], "admin-"+o.topology+"-"+page)
}

// drawn is true in a page whose chart of commands has more than n points.
func drawn(n int) string {
	return fmt.Sprintf(`document.getElementById('live').textContent === 'live' && document.querySelector('[data-chart=ops] .line').getAttribute('d').split('L').length > %d`, n)
}

// pay has somebody pay one order again and again, until the test ends or stop
// is called.
func pay(t *testing.T, base string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for ctx.Err() == nil {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/orders/99/pay", nil)
			if err != nil {
				return
			}
			if resp, err := http.DefaultClient.Do(r); err == nil {
				resp.Body.Close()
			}
		}
	}()
	stop = func() { cancel(); <-gone }
	t.Cleanup(stop)
	return stop
}

// The tour of an operator: servers and their charts, a key, a lock while it is
// held, a client that is blocked and unblocked, a page of the cache that is purged.
func TestThePanelInABrowser(t *testing.T) {
	redistest.Long(t)
	binary := exampletest.Build(t)
	t.Setenv("PANEL_PASSWORD", testPassword)
	for _, g := range []*redistest.Target{redistest.NewServer(t).Target(), redistest.NewSentinel(t).Target(), redistest.NewCluster(t, 0).Target()} {
		t.Run(g.Name, func(t *testing.T) {
			browser := exampletest.NewBrowser(t)
			shop := exampletest.Start(t, binary, g.URL, "-users", "5")
			o := login(t, browser, shop.URL, g.Name)
			o.wait("Connections", g.Name, "well")
			o.look("connections")
			o.Press("td a") // the first server
			o.Wait(drawn(12))
			o.look("node")
			o.Look(exampletest.Screens[2], "admin-"+g.Name+"-numbers")
			if over := o.Text(`document.querySelectorAll(".pairs .n").forEach((e) => { e.textContent = "123 456 123 456 with a TTL, 19 h 59 min on average"; });
				String(document.documentElement.scrollWidth - document.documentElement.clientWidth)`); over != "0" {
				t.Errorf("large numbers widen the page by %s pixels", over)
			}
			o.Look(exampletest.Screens[0], "admin-"+g.Name+"-numbers")
			o.visit("connection")
			o.wait("Pool of this process", "closed")
			o.look("connection")

			o.find("keys?match=session", "session:v1:")
			o.visit("keys")
			o.Type("input[name=match]", "session:v1:")
			o.Press("form button")
			o.look("keys")
			o.Press("td.key a")
			o.wait("This is a session", "What it holds is not shown")
			o.look("session")

			stop := pay(t, shop.URL)
			o.find("locks", "held", "Take away")
			o.look("locks")
			stop()

			o.visit("limits")
			o.Type("form[action=confirm] input[name=client]", "user-0")
			o.Press("form[action=confirm] button")
			o.wait("Block a client?", "user-0")
			o.look("confirm")
			o.Press("form[action=act] button")
			o.wait("The client was blocked.")
			o.find("limits?show=blocked", "blocked", "in 14 min")
			o.look("limits")
			o.Press("td.actions a")
			o.Press("form[action=act] button")
			o.wait("The client was unblocked.")
			o.find("limits?show=blocked", "Nobody is blocked")

			o.find("cache", "/products/", "fresh")
			o.look("cache")
			o.Press("td.actions a")
			o.Press("form[action=act] button")
			o.wait("The URL was purged.")
			o.find("keys?match=cache:v2:*:e:*", "cache:v2:")
			o.Press("td.key a")
			o.wait("This is a cached response")
			o.look("entry")
			o.find("sessions", "user-", "Revoke")
			o.look("sessions")
			o.find("cron", "report")
			o.look("cron")
			o.visit("key?key=none")
			o.wait("There is no key")
			o.look("error")
		})
	}
}
