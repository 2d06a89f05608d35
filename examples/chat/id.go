package main

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// id is that of an entry of a Redis stream: milliseconds and a number. It
// orders the messages of a room, and names the one that a client saw last.
type id struct{ ms, seq uint64 }

var errID = errors.New("chat: not the id of a message")

// parseID reads "1718000000000-0", which clients send.
func parseID(s string) (id, error) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok {
		return id{}, errID
	}
	a, errA := strconv.ParseUint(ms, 10, 64)
	b, errB := strconv.ParseUint(seq, 10, 64)
	if errA != nil || errB != nil {
		return id{}, errID
	}
	return id{a, b}, nil
}

func (i id) String() string {
	return strconv.FormatUint(i.ms, 10) + "-" + strconv.FormatUint(i.seq, 10)
}

// compare is -1, 0 or 1 as i is before, at or after o.
func (i id) compare(o id) int {
	return cmp.Or(cmp.Compare(i.ms, o.ms), cmp.Compare(i.seq, o.seq))
}

func earliest(a, b id) id { return slices.MinFunc([]id{a, b}, id.compare) }
func latest(a, b id) id   { return slices.MaxFunc([]id{a, b}, id.compare) }
