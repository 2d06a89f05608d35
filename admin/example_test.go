package admin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
)

func Example() {
	set := connect.NewSet()
	defer set.Close(context.Background())
	if err := set.Add("default", "redis://127.0.0.1:6379"); err != nil {
		panic(err)
	}
	conn, err := set.Get("default")
	if err != nil {
		panic(err)
	}
	responses, err := cache.New(conn.Client())
	if err != nil {
		panic(err)
	}
	panel, err := admin.New(set,
		admin.WithTitle("orders, staging"),
		admin.WithAuthorizer(func(r *http.Request) (admin.Access, error) {
			// A proxy in front has asked who it is, and removes what clients send.
			switch user := r.Header.Get("X-Staff"); user {
			case "":
				return admin.Access{}, errors.New("nobody of ours")
			default:
				return admin.Access{User: user, Read: true, Write: user == "ann"}, nil
			}
		}),
		admin.WithAudit(func(ctx context.Context, e admin.Event) {
			slog.InfoContext(ctx, "panel", "user", e.User, "action", e.Action, "key", e.Key, "detail", e.Detail, "error", e.Err)
		}),
		admin.WithCache("default", "pages", responses))
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/", panel.Handler())
}

func ExamplePanel_Handler() {
	set := connect.NewSet()
	defer set.Close(context.Background())
	panel, err := admin.New(set, admin.WithAuthorizer(func(*http.Request) (admin.Access, error) { return admin.Access{Read: true}, nil }))
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ops/redis/", http.StripPrefix("/ops/redis", panel.Handler())) // or as it is: both will do
}

func ExampleNew_incorrect() {
	// Without an authorizer anybody could read and delete everything.
	_, err := admin.New(connect.NewSet())
	fmt.Println(err)
	// Output: admin: WithAuthorizer: is missing: say who may use the panel
}
