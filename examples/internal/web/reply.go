package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// JSON answers with v.
func JSON(w http.ResponseWriter, status int, v any) { write(w, "application/json", status, v) }

// Problem answers with a problem detail (RFC 9457), as the middlewares do.
func Problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Cache-Control", "no-store")
	write(w, "application/problem+json", status, struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{"about:blank", http.StatusText(status), status, detail})
}

// Unavailable answers 503 while Redis does not answer. What went wrong is for
// the log, not for the client.
func Unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	Problem(w, http.StatusServiceUnavailable, "Try again in a moment.")
}

func write(w http.ResponseWriter, contentType string, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// bodyTime is how long a client may take to send a body. A server that streams
// cannot have it as its ReadTimeout, which would end the streams.
const bodyTime = 10 * time.Second

// Decode reads a body of one JSON value of at most so many bytes into v, or
// answers the request itself and reports false.
func Decode(w http.ResponseWriter, r *http.Request, most int64, v any) bool {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // net/http lifts it for the next request
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &tooLarge):
		Problem(w, http.StatusRequestEntityTooLarge, "At most "+strconv.FormatInt(most, 10)+" bytes.")
	default:
		Problem(w, http.StatusBadRequest, "The body is not the JSON that was expected.")
	}
	return false
}
