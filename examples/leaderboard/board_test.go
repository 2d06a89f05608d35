package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/internal/redistest"
)

// model is the leaderboard as one would explain it: a list that is sorted.
type model struct {
	turn    int
	players map[string]*standing
}

type standing struct {
	name  string
	score int64
	since int
}

func newModel() *model { return &model{players: map[string]*standing{}} }

func (m *model) submit(player, name string, score int64) Standing {
	p := m.players[player]
	improved := p == nil || score > p.score
	if p == nil {
		p = &standing{}
		m.players[player] = p
	}
	p.name = name
	if improved {
		m.turn++
		p.score, p.since = score, m.turn
	}
	return Standing{Improved: improved, Rank: m.rank(player), Best: p.score, Players: int64(len(m.players))}
}

func (m *model) sorted() []Row {
	var players []string
	for player := range m.players {
		players = append(players, player)
	}
	slices.SortFunc(players, func(a, b string) int {
		x, y := m.players[a], m.players[b]
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(x.since, y.since))
	})
	rows := make([]Row, len(players))
	for i, player := range players {
		rows[i] = Row{int64(i + 1), player, m.players[player].name, m.players[player].score}
	}
	return rows
}

func (m *model) rank(player string) int64 {
	for _, row := range m.sorted() {
		if row.Player == player {
			return row.Rank
		}
	}
	return 0
}

func (m *model) top(n int) []Row { rows := m.sorted(); return rows[:min(n, len(rows))] }

func (m *model) around(player string, n int) []Row {
	rows, rank := m.sorted(), int(m.rank(player))
	if rank == 0 {
		return []Row{}
	}
	size := min(2*n+1, len(rows))
	first := min(max(rank-1-n, 0), len(rows)-size)
	return rows[first : first+size]
}

func newBoard(t *testing.T, redisURL, name string) (*Board, *connect.Conn) {
	t.Helper()
	conn, err := connect.Open(redisURL+"?read_timeout="+patience.String(), connect.WithName("test"), embedded.Option())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	b, err := NewBoard(conn, name)
	if err != nil {
		t.Fatal(err)
	}
	b.call = patience // on a machine that is busy
	return b, conn
}

// eachRedis are the servers that a board must be the same on.
func eachRedis(t *testing.T, test func(t *testing.T, url string)) {
	for name, url := range map[string]string{
		"embedded": "embedded://", "standalone": redistest.Standalone(t).URL, "cluster": redistest.Cluster(t).URL,
	} {
		t.Run(name, func(t *testing.T) { test(t, url) })
	}
}

// Anything that happens at random is as in the model: scores of which many are
// equal, names that change, and every part of the board that can be looked at.
func TestTheBoardIsAsTheModel(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		for seed := range uint64(4) {
			b, _ := newBoard(t, url, redistest.Prefix(t))
			m, r := newModel(), rand.New(rand.NewPCG(seed, 1))
			ctx := t.Context()
			turn := int64(0)
			for step := range 250 {
				player, name := fmt.Sprint("p", r.IntN(25)), fmt.Sprint("Name ", r.IntN(3))
				switch r.IntN(4) {
				case 0, 1:
					score := r.Int64N(12) - 3
					got, err := b.Submit(ctx, player, name, score)
					if want := m.submit(player, name, score); got != want || err != nil {
						t.Fatalf("seed %d, step %d: %s submits %d: got %+v, %v, want %+v", seed, step, player, score, got, err, want)
					}
				case 2:
					n := 1 + r.IntN(30)
					got, err := b.Top(ctx, n)
					if want := m.top(n); err != nil || !slices.Equal(got.Rows, want) || got.Players != int64(len(m.players)) || got.Turn < turn {
						t.Fatalf("seed %d, step %d: top %d: got %+v, %v, want %+v", seed, step, n, got, err, want)
					}
					turn = got.Turn
				case 3:
					n := 1 + r.IntN(4)
					got, err := b.Around(ctx, player, n)
					if want := m.around(player, n); err != nil || !slices.Equal(got.Rows, want) {
						t.Fatalf("seed %d, step %d: %d around %s: got %+v, %v, want %+v", seed, step, n, player, got, err, want)
					}
				}
			}
		}
	})
}

func TestTies(t *testing.T) {
	type score struct {
		player string
		score  int64
	}
	for name, test := range map[string]struct {
		scores []score
		want   string
	}{
		"the first is above":                {[]score{{"a", 5}, {"b", 5}, {"c", 5}}, "a5 b5 c5"},
		"whatever the players' numbers are": {[]score{{"z", 5}, {"a", 5}}, "z5 a5"},
		"the same again is not later":       {[]score{{"a", 5}, {"b", 5}, {"a", 5}}, "a5 b5"},
		"a lower one changes nothing":       {[]score{{"a", 5}, {"b", 5}, {"a", 3}}, "a5 b5"},
		"who comes up is below":             {[]score{{"a", 5}, {"b", 9}, {"a", 9}}, "b9 a9"},
		"who was there and left is too":     {[]score{{"a", 5}, {"b", 5}, {"a", 7}, {"b", 7}}, "a7 b7"},
		"nothing is a score":                {[]score{{"a", 0}, {"b", -1}, {"c", 0}}, "a0 c0 b-1"},
		"the largest and the smallest": {
			[]score{{"a", -maxScore}, {"b", maxScore - 1}, {"c", maxScore}, {"d", -maxScore + 1}, {"e", maxScore}},
			fmt.Sprintf("c%d e%d b%d d%d a%d", maxScore, maxScore, maxScore-1, -maxScore+1, -maxScore),
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, func(t *testing.T, url string) {
				b, _ := newBoard(t, url, redistest.Prefix(t))
				for _, s := range test.scores {
					if _, err := b.Submit(t.Context(), s.player, "X", s.score); err != nil {
						t.Fatal(err)
					}
				}
				top, err := b.Top(t.Context(), 10)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, row := range top.Rows {
					got = append(got, fmt.Sprint(row.Player, row.Score))
				}
				if strings.Join(got, " ") != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			})
		})
	}
}

// Many submit at once, over two connections. Each ends with their best; and of
// two with the same one, who had the answer before the other asked is above.
func TestSubmittingAtOnce(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		board := redistest.Prefix(t)
		one, conn := newBoard(t, url, board)
		two, err := NewBoard(conn, board)
		if err != nil {
			t.Fatal(err)
		}
		two.call = patience
		if !strings.HasPrefix(url, "embedded") { // that one is for one connection
			two, _ = newBoard(t, url, board)
		}
		type reached struct {
			score       int64
			asked, told time.Time
		}
		var mu sync.Mutex
		best := map[string]reached{}
		var running sync.WaitGroup
		for worker := range 16 {
			running.Go(func() {
				b := []*Board{one, two}[worker%2]
				r := rand.New(rand.NewPCG(uint64(worker), 2))
				for range 60 {
					player, score := fmt.Sprint("p", r.IntN(12)), r.Int64N(8)
					asked := time.Now()
					s, err := b.Submit(t.Context(), player, player, score)
					told := time.Now()
					if err != nil || s.Best < score || s.Rank < 1 || s.Rank > s.Players {
						t.Errorf("%s submits %d: %+v, %v", player, score, s, err)
					}
					mu.Lock()
					if was, ok := best[player]; s.Improved && (!ok || score > was.score) {
						best[player] = reached{score, asked, told}
					}
					mu.Unlock()
				}
			})
		}
		running.Wait()
		top, err := one.Top(t.Context(), 100)
		if err != nil || len(top.Rows) != len(best) {
			t.Fatalf("got %+v, %v, want %d players", top, err, len(best))
		}
		for i, row := range top.Rows {
			if row.Score != best[row.Player].score || row.Rank != int64(i+1) {
				t.Errorf("row %d: got %+v, want %d", i, row, best[row.Player].score)
			}
			if i == 0 {
				continue
			}
			above := top.Rows[i-1]
			if above.Score < row.Score || above.Score == row.Score && best[row.Player].told.Before(best[above.Player].asked) {
				t.Errorf("%+v is above %+v", above, row)
			}
		}
	})
}

func TestEachOperationIsOneRoundTrip(t *testing.T) {
	b, conn := newBoard(t, redistest.Standalone(t).URL, redistest.Prefix(t))
	ctx := t.Context()
	operations := map[string]func() error{
		"submit": func() error { _, err := b.Submit(ctx, "a", "A", 1); return err },
		"rename": func() error { _, err := b.Rename(ctx, "a", "B"); return err },
		"top":    func() error { _, err := b.Top(ctx, 10); return err },
		"around": func() error { _, err := b.Around(ctx, "a", 2); return err },
	}
	for name, operation := range operations { // loads the scripts
		if err := operation(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	count := redistest.Count(conn.Client())
	for name, operation := range operations {
		count.Reset()
		if err := operation(); err != nil || count.Trips() != 1 {
			t.Errorf("%s: %d round trips: %v, %v", name, count.Trips(), count.Commands(), err)
		}
	}
	for _, key := range b.keys {
		if ttl, err := conn.Client().PTTL(ctx, key).Result(); err != nil || ttl < boardTTL-time.Hour || ttl > boardTTL {
			t.Errorf("%s lives for %v, %v", key, ttl, err)
		}
	}
}

func TestRename(t *testing.T) {
	b, _ := newBoard(t, redistest.Standalone(t).URL, redistest.Prefix(t))
	ctx := t.Context()
	if s, err := b.Rename(ctx, "a", "Nobody"); err != nil || s != (Standing{}) {
		t.Errorf("without a score: %+v, %v", s, err)
	}
	if _, err := b.Submit(ctx, "a", "A", 5); err != nil {
		t.Fatal(err)
	}
	before, err := b.Top(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := b.Rename(ctx, "a", "Ann: the first 日本"); err != nil || s != (Standing{Rank: 1, Best: 5, Players: 1}) {
		t.Errorf("got %+v, %v", s, err)
	}
	after, err := b.Top(ctx, 1)
	if err != nil || after.Rows[0].Name != "Ann: the first 日本" || after.Turn <= before.Turn {
		t.Errorf("got %+v, %v, before %+v", after, err, before)
	}
}

func TestScoresThatWouldNotBeExact(t *testing.T) {
	b, _ := newBoard(t, redistest.Standalone(t).URL, redistest.Prefix(t))
	for _, score := range []int64{maxScore + 1, -maxScore - 1, 1<<63 - 1, -1 << 63} {
		if _, err := b.Submit(t.Context(), "a", "A", score); !errors.Is(err, ErrScore) {
			t.Errorf("%d: %v", score, err)
		}
	}
}

func TestRepliesThatAreMalformed(t *testing.T) {
	for _, reply := range [][]any{
		nil,
		{},
		{int64(1)},
		{int64(1), int64(1)},
		{int64(1), int64(1), "1"},
		{int64(1), int64(1), int64(1), "a"},
		{int64(1), int64(1), int64(1), "a", "b", "c"},
		{int64(1), int64(1), int64(1), "a", int64(1), int64(1)},
	} {
		if rows, err := decodeRows(reply); err == nil {
			t.Errorf("%v became %+v", reply, rows)
		}
	}
}
