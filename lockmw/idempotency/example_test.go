package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

func Example() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	locks, err := lockmw.New(conn.Client(), lockmw.WithTimeout(4*time.Second)) // patient, for a test
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close(context.Background())
	keeper, err := idempotency.New(locks, conn.Client(), func(r *http.Request) (string, error) {
		user, _, ok := r.BasicAuth() // verified by an outer middleware
		if !ok {
			return "", errors.New("not authenticated")
		}
		return user, nil
	}, idempotency.WithTimeout(4*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keeper.Close(context.Background())

	payments := 0
	mux := http.NewServeMux()
	mux.Handle("POST /payments", keeper.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		payments++
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "payment ", payments)
	})))

	for _, body := range []string{"5 EUR", "5 EUR", "6 EUR"} {
		r := httptest.NewRequest("POST", "/payments", strings.NewReader(body))
		r.SetBasicAuth("alice", "")
		r.Header.Set("Idempotency-Key", `"8e03978e-40d5-43e8-bc93-6894a57f9324"`)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("Idempotency-Replayed") == "true")
	}
	fmt.Println(payments)
	// Output:
	// 201 false
	// 201 true
	// 422 false
	// 1
}

// A handler that may be run again after an interruption finds out what the
// attempt before has done.
func ExampleWithRerun() {
	rdb := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	defer rdb.Close()
	locks, err := lockmw.New(rdb)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close(context.Background())
	keeper, err := idempotency.New(locks, rdb, idempotency.DangerouslyUnscoped, idempotency.WithRerun(true))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keeper.Close(context.Background())
	mux := http.NewServeMux()
	mux.Handle("POST /payments", keeper.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, _ := idempotency.FromContext(r.Context())
		if a.Number > 1 {
			// look for the payment of the attempt before
		}
		if r.FormValue("amount") == "" {
			idempotency.Forget(r.Context()) // nothing happened: the client may correct it
			http.Error(w, "no amount", http.StatusBadRequest)
			return
		}
		// UPDATE payments SET state = 'paid', fence = $1 WHERE id = $2 AND fence < $1
		_ = a.Fence
	})))
	// Output:
}

// Without HTTP: a message that is delivered more than once.
func ExampleKeeper_Begin() {
	conn, err := connect.Open("embedded://", embedded.Option()) // or redis://…
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	locks, err := lockmw.New(conn.Client(), lockmw.WithTimeout(4*time.Second)) // patient, for a test
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close(context.Background())
	keeper, err := idempotency.New(locks, conn.Client(), idempotency.DangerouslyUnscoped, idempotency.WithTimeout(4*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keeper.Close(context.Background())

	deliver := func(id string) (string, error) {
		run, kept, err := keeper.Begin(context.Background(), idempotency.Operation{Scope: "orders", Name: "ship", Key: id})
		if err != nil {
			return "", err // lockmw.ErrBusy: later again
		}
		if run == nil {
			return "before: " + string(kept), nil
		}
		defer run.Release()
		result := "shipped " + id // with run.Context()
		return result, run.Keep([]byte(result))
	}
	fmt.Println(deliver("order 7"))
	fmt.Println(deliver("order 7"))
	// Output:
	// shipped order 7 <nil>
	// before: shipped order 7 <nil>
}

// Metrics, an API's own errors, and a middleware for clients that do not all send
// keys yet.
func ExampleWithDenyHandler() {
	conn, err := connect.Open("redis://127.0.0.1:1") // no server is there
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(context.Background())
	locks, err := lockmw.New(conn.Client())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close(context.Background())
	deny := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refusal, _ := idempotency.RefusalFromContext(r.Context())
		w.WriteHeader(refusal.Status)
		fmt.Fprint(w, `{"error":"`, refusal.Reason, `"}`)
	})
	keeper, err := idempotency.New(locks, conn.Client(), idempotency.DangerouslyUnscoped,
		idempotency.WithRequired(false),
		idempotency.WithMethods("POST", "PUT"),
		idempotency.WithDenyHandler(deny),
		idempotency.WithHooks(idempotency.Hooks{
			Refused: func(_ context.Context, reason string) { fmt.Println("refused:", reason) },
		}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keeper.Close(context.Background())
	handler := keeper.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodPost, "/payments", nil)
	r.Header.Set("Idempotency-Key", "8e03978e-40d5-43e8-bc93-6894a57f9324")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output:
	// refused: unavailable
	// 503 {"error":"unavailable"}
}

// What is kept, for how long, and what makes two requests the same.
func ExampleWithTTL() {
	rdb := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	locks, err := lockmw.New(rdb)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = idempotency.New(locks, rdb, idempotency.DangerouslyUnscoped,
		idempotency.WithTTL(7*24*time.Hour),
		idempotency.WithMaxResponseBody(64<<10),
		idempotency.WithKeepStatus(func(status int) bool { return status != http.StatusBadRequest }),
		idempotency.WithFingerprint(func(_ *http.Request, body []byte) []byte { return body }),
	)
	fmt.Println(err)
	// Output: <nil>
}
