package rules

import (
	"net/http"
	"time"
)

// Response is what a handler has made, as far as its header tells.
type Response struct {
	Status   int
	Header   http.Header
	Around   http.Header   // what outer middlewares say, see [Rules.around]
	Age      time.Duration // that it has already
	Personal bool          // the handler has read who asks
}

// tagging are the fields with the tags of all.
func (res Response) tagging() http.Header {
	h := http.Header{}
	for _, name := range []string{"Surrogate-Key", "Cache-Tag", "Cache-Groups"} {
		h[name] = res.all(name)
	}
	return h
}

// all are the values that all have given to a field.
func (res Response) all(name string) []string { return together(name, res.Header, res.Around) }
