package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
)

//go:embed submit.lua
var submitSource string

//go:embed rows.lua
var rowsSource string

var (
	submitScript = redis.NewScriptServerSHA(submitSource)
	rowsScript   = redis.NewScriptServerSHA(rowsSource)
)

const (
	callTimeout = time.Second
	boardTTL    = 90 * 24 * time.Hour
	// maxScore is the largest number that a sorted set, a script and JavaScript
	// all hold exactly.
	maxScore = 1<<53 - 1
)

// Board is a ranking of players by their best scores, in Redis.
//
// Every player has a rank of their own: who reached a score first is above who
// reached it later. Sharing a rank would be the other way, but then the ranks
// below depend on how many share it, and "rank 1000" costs a count. The order is
// that of one sorted set. Its score is the player's score, and a sorted set orders
// equal scores by the bytes of their members; so a member begins with its place
// in time, which falls with every entry that the board has seen. A place is not a
// clock's time, for two scores may come in one millisecond and clocks step back.
//
// It is tempting to put both into the score, as score * 2^k + place. But a score
// is a double of 53 bits: with k = 32, enough for one entry a second over 136
// years, scores would end at two million. Here scores are whole numbers from
// -(2^53-1) to 2^53-1, and a board can be written to as often. The price is the
// hash that knows each player's member: some 60 bytes for a player.
//
// The three keys belong together. On a Redis that evicts, or after a failover
// that lost the last writes, a player may keep an old score until they reach a
// better one; ranks are those of what is stored.
type Board struct {
	rdb  redis.UniversalClient
	keys []string
	call time.Duration // how long Redis may take
}

// Row is a player on the board.
type Row struct {
	Rank   int64  `json:"rank"`
	Player string `json:"player"`
	Name   string `json:"name"`
	Score  int64  `json:"score"`
}

// Rows are a part of the board.
type Rows struct {
	// Turn grows with every change of the board.
	Turn    int64 `json:"turn"`
	Players int64 `json:"players"`
	Rows    []Row `json:"rows"`
}

// Standing is where a player stands after a score.
type Standing struct {
	Improved bool  `json:"improved"`
	Rank     int64 `json:"rank"` // 0 without a score
	Best     int64 `json:"best"`
	Players  int64 `json:"players"`
}

var (
	boardName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	// ErrScore is a score that would not be exact.
	ErrScore = errors.New("leaderboard: a score is a whole number of at most 2^53-1")
	errReply = errors.New("leaderboard: the script's reply is malformed")
)

// NewBoard returns the board of a name.
func NewBoard(conn *connect.Conn, name string) (*Board, error) {
	if !boardName.MatchString(name) {
		return nil, fmt.Errorf("-board: %q is not 1 to 32 of a-z, 0-9 and -", name)
	}
	b := &Board{rdb: conn.Client(), call: callTimeout}
	for _, part := range []string{"ranks", "players", "turns"} { // in one slot
		b.keys = append(b.keys, conn.Key("leaderboard", "v1", "{"+name+"}", part))
	}
	return b, nil
}

// Submit enters a score for a player, and takes the name for all their rows. It
// is safe to repeat: the best score counts.
func (b *Board) Submit(ctx context.Context, player, name string, score int64) (Standing, error) {
	if score > maxScore || score < -maxScore {
		return Standing{}, ErrScore
	}
	return b.submit(ctx, player, name, score)
}

// Rename changes the name of a player, if they have a score.
func (b *Board) Rename(ctx context.Context, player, name string) (Standing, error) {
	return b.submit(ctx, player, name, "")
}

func (b *Board) submit(ctx context.Context, player, name string, score any) (Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, b.call)
	defer cancel()
	n, err := submitScript.Run(ctx, b.rdb, b.keys, player, name, score, boardTTL.Milliseconds()).Int64Slice()
	if err == nil && len(n) != 4 {
		err = errReply
	}
	if err != nil {
		return Standing{}, fmt.Errorf("leaderboard: submit: %w", err)
	}
	return Standing{Improved: n[0] == 1, Rank: n[1], Best: n[2], Players: n[3]}, nil
}

// Top returns the n best players.
func (b *Board) Top(ctx context.Context, n int) (Rows, error) { return b.rows(ctx, "", n) }

// Around returns a player with the n above and the n below; at either end of the
// board, as many rows all the same. A player without a score has none.
func (b *Board) Around(ctx context.Context, player string, n int) (Rows, error) {
	if player == "" {
		return Rows{Rows: []Row{}}, nil
	}
	return b.rows(ctx, player, n)
}

func (b *Board) rows(ctx context.Context, player string, n int) (Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, b.call)
	defer cancel()
	reply, err := rowsScript.Run(ctx, b.rdb, b.keys, player, n).Slice()
	if err != nil {
		return Rows{}, fmt.Errorf("leaderboard: rows: %w", err)
	}
	return decodeRows(reply)
}

func decodeRows(reply []any) (Rows, error) {
	ok := len(reply) >= 3 && len(reply)%3 == 0
	number := func(i int) int64 {
		n, is := reply[i].(int64)
		ok = ok && is
		return n
	}
	text := func(i int) string {
		s, is := reply[i].(string)
		ok = ok && is
		return s
	}
	if !ok {
		return Rows{}, errReply
	}
	rows := Rows{Turn: number(0), Players: number(1), Rows: make([]Row, 0, len(reply)/3-1)}
	first := number(2)
	for i := 3; i < len(reply); i += 3 {
		rows.Rows = append(rows.Rows, Row{Rank: first + int64(i/3-1), Player: text(i), Name: text(i + 1), Score: number(i + 2)})
	}
	if !ok {
		return Rows{}, errReply
	}
	return rows, nil
}
