package rules

import (
	"net/http"
	"time"
)

// Response is the response of a handler without its body.
type Response struct {
	Status   int           // 0 if the handler has written nothing
	Header   http.Header   // the handler's own fields, see [Own]
	Around   http.Header   // what outer middlewares say, see [Rules.Around]
	Age      time.Duration // that it has already, see [InitialAge]
	Personal bool          // the handler has read the client's identity
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
