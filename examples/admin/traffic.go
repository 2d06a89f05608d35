package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"
)

// traffic has users visit the shop until ctx ends, some more and some less
// busy.
func traffic(ctx context.Context, base string, users int) {
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() { visit(ctx, base, i) })
	}
	wg.Wait()
}

func visit(ctx context.Context, base string, i int) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return
	}
	c := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	name := fmt.Sprintf("user-%d", i)
	send := func(method, path string, form url.Values) {
		r, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(form.Encode()))
		if err != nil {
			return
		}
		r.Header.Set("X-Visitor", name)
		r.Header.Set("User-Agent", "shopper/1.0")
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if resp, err := c.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	send("POST", "/login", url.Values{"user": {name}})
	for {
		switch n := rand.N(100); {
		case n < 70:
			send("GET", fmt.Sprintf("/products/%d", rand.N(30)), nil)
		case n < 98:
			send("GET", "/basket", nil)
		default:
			send("POST", fmt.Sprintf("/orders/%d/pay", rand.N(3)), url.Values{})
		}
		wave := time.Duration(60*(1+i)) * time.Millisecond * time.Duration(1+time.Now().Unix()/15%3)
		select {
		case <-time.After(rand.N(wave) + time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}
