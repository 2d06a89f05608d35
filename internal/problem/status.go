package problem

import "net/http"

// WithStatus returns a writer that sends status unless the handler that writes
// to it sends another one, and done, to be called when that handler returns. It
// is for deny handlers, which need not know the status.
func WithStatus(w http.ResponseWriter, status int) (writer http.ResponseWriter, done func()) {
	s := &statusWriter{ResponseWriter: w, status: status}
	return s, s.send
}

type statusWriter struct {
	http.ResponseWriter

	status int
	sent   bool
}

// WriteHeader sends the status that the handler chose.
func (w *statusWriter) WriteHeader(status int) {
	w.sent = w.sent || status >= http.StatusOK
	w.ResponseWriter.WriteHeader(status)
}

// Write sends the default status first, unless the handler chose one.
func (w *statusWriter) Write(b []byte) (int, error) {
	w.send()
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) send() {
	if !w.sent {
		w.WriteHeader(w.status)
	}
}
