package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
)

// hub is all rooms of this instance. It has one connection that hears the bell,
// and reads each room once, however many clients there are.
type hub struct {
	rdb   redis.UniversalClient
	bell  string
	rooms map[string]*room

	cancel  context.CancelFunc
	running sync.WaitGroup
}

var roomName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

func newHub(conn *connect.Conn, c config, logger *slog.Logger) (*hub, error) {
	h := &hub{rdb: conn.Client(), bell: bell(conn), rooms: map[string]*room{}}
	var errs []error
	for _, name := range c.rooms {
		if !roomName.MatchString(name) {
			errs = append(errs, fmt.Errorf("-rooms: %q is not 1 to 32 of a-z, 0-9 and -", name))
		}
		h.rooms[name] = newRoom(newStream(conn, name, c), c.keep, logger)
	}
	if c.history < c.keep {
		errs = append(errs, fmt.Errorf("-history: %d is below the %d that are kept in memory", c.history, c.keep))
	}
	return h, errors.Join(errs...)
}

// start fills the rooms, and reads on until stop.
func (h *hub) start(ctx context.Context) error {
	for _, r := range h.rooms {
		if err := r.fill(ctx); err != nil {
			return err
		}
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel = cancel
	for _, r := range h.rooms {
		h.running.Go(func() { r.read(running) })
	}
	h.running.Go(func() { h.listen(running) })
	return nil
}

func (h *hub) stop() {
	h.cancel()
	h.running.Wait()
}

// listen passes the bell on. go-redis subscribes anew after a failure; whatever
// was said in between rang no bell here, so every room looks then.
func (h *hub) listen(ctx context.Context) {
	sub := h.rdb.Subscribe(ctx, h.bell)
	defer sub.Close()
	heard := sub.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-heard:
			if !ok {
				return
			}
			switch m := m.(type) {
			case *redis.Subscription:
				for _, r := range h.rooms {
					r.ring()
				}
			case *redis.Message:
				if r := h.rooms[m.Payload]; r != nil {
					r.ring()
				}
			}
		}
	}
}
