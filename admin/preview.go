package admin

import (
	"bytes"
	"context"
	_ "embed" // for the script
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/session"
)

//go:embed preview.lua
var previewSource string

var previewScript = redis.NewScriptServerSHA(previewSource)

const (
	// previewBytes is how much of a string a page shows.
	previewBytes = 16 << 10
	// previewElements is how many elements a page shows, and previewText how many
	// bytes of each.
	previewElements = 100
	previewText     = 512
	// largeElement is the average size above which elements are not read at all: a
	// script would have to copy them.
	largeElement = 1 << 20
)

// clipped is the beginning of a text that may be longer.
type clipped struct {
	Text string
	Len  int64 // of the whole
}

// Cut reports whether the text is longer than shown.
func (c clipped) Cut() bool { return int64(len(c.Text)) < c.Len }

// preview is one page of a value.
type preview struct {
	// Hidden says why there is no preview.
	Hidden string
	// Columns are the headings of Rows, for all types but strings.
	Columns []string
	Rows    [][]clipped
	// Text is a part of a string, and Pretty the same as indented JSON, "" if it is
	// not JSON. Binary is whether it is not UTF-8.
	Text   *clipped
	Pretty string
	Binary bool
	// From is where this page begins, Next where the next one does, "" at the end.
	From string
	Next string
}

// preview reads a bounded part of a value, beginning at from, "" for its start. A
// script cuts the elements, so that large ones do not leave Redis.
func (p *Panel) preview(ctx context.Context, rdb redis.UniversalClient, key string, row keyRow, from string) (preview, error) {
	v := preview{From: from}
	if v.Hidden = p.hides(key); v.Hidden != "" {
		return v, nil
	}
	if row.Type == "string" {
		return p.previewString(ctx, rdb, key, row, v)
	}
	if v.Columns = columns[row.Type]; v.Columns == nil {
		v.Hidden = "Values of this type cannot be shown."
		return v, nil
	}
	if row.Memory > 0 && row.Len > 0 && row.Memory/row.Len > largeElement {
		v.Hidden = fmt.Sprintf("Its elements are too large to be shown, about %s each.", size(row.Memory/row.Len))
		return v, nil
	}
	begin := from
	if begin == "" {
		begin = begins[row.Type]
	}
	if !places[row.Type].MatchString(begin) {
		return v, fmt.Errorf("%w: no place in a value", errBad)
	}
	reply, err := previewScript.Run(ctx, rdb, []string{key}, row.Type, begin, previewElements, previewText).Slice()
	if err == nil {
		err = v.decode(row.Type, reply)
	}
	return v, err
}

// columns are the headings of a value's table by its type, begins the place at which
// it starts, and places the places at which a page of it may begin.
var (
	columns = map[string][]string{"hash": {"Field", "Value"}, "set": {"Member"}, "list": {"Element"}, "zset": {"Member", "Score"}, "stream": {"Entry", "Fields"}}
	begins  = map[string]string{"hash": "0", "set": "0", "list": "0", "zset": "0", "stream": "-"}
	number  = regexp.MustCompile(`^[0-9]{1,20}$`)
	index   = regexp.MustCompile(`^[0-9]{1,15}$`) // exact as a number in Lua
	entryID = regexp.MustCompile(`^(-|\(?[0-9]{1,20}-[0-9]{1,20})$`)
	places  = map[string]*regexp.Regexp{"hash": number, "set": number, "list": index, "zset": index, "stream": entryID}
)

// previewString reads a part of a string, with line breaks added if it is JSON. It
// hides what looks like a session, whatever the name of the key.
func (p *Panel) previewString(ctx context.Context, rdb redis.UniversalClient, key string, row keyRow, v preview) (preview, error) {
	first := int64(0)
	if v.From != "" {
		n, err := strconv.ParseInt(v.From, 10, 64)
		if err != nil || n < 0 {
			return v, fmt.Errorf("%w: no place in a value", errBad)
		}
		first = n
	}
	text, err := rdb.GetRange(ctx, key, first, first+previewBytes-1).Result()
	if err != nil {
		return v, err
	}
	if !p.sessionValues {
		head := text
		if first > 0 {
			if head, err = rdb.GetRange(ctx, key, 0, 1).Result(); err != nil {
				return v, err
			}
		}
		if session.IsEncoded(head) {
			v.Hidden = sessionHidden
			return v, nil
		}
	}
	v.Text = &clipped{text, row.Len}
	if rest := first + int64(len(text)); len(text) == previewBytes && rest < row.Len {
		v.Next = strconv.FormatInt(rest, 10)
	}
	v.Binary = !utf8.ValidString(text)
	if first == 0 && v.Next == "" && len(text) > 1 && (text[0] == '{' || text[0] == '[') && json.Valid([]byte(text)) {
		var buf bytes.Buffer
		if json.Indent(&buf, []byte(text), "", "  ") == nil && buf.Len() <= 4*previewBytes {
			v.Pretty = buf.String()
		}
	}
	return v, nil
}

// errReply means that the server is not what the script expects.
var errReply = errors.New("the reply of the preview has another form")

// decode reads the reply of preview.lua, whose form that file describes.
func (v *preview) decode(kind string, reply []any) error {
	if len(reply) == 0 {
		return errReply
	}
	next, ok := reply[0].(string)
	if !ok {
		return errReply
	}
	v.Next, reply = next, reply[1:]
	for len(reply) > 0 {
		texts := len(v.Columns)
		if kind == "stream" {
			n, ok := reply[0].(int64)
			if !ok || n < 1 || n > int64(len(reply)) {
				return errReply
			}
			texts, reply = int(n), reply[1:]
		}
		if len(reply) < 2*texts {
			return errReply
		}
		row := make([]clipped, texts)
		for i := range row {
			n, ok1 := reply[2*i].(int64)
			text, ok2 := reply[2*i+1].(string)
			if !ok1 || !ok2 {
				return errReply
			}
			row[i] = clipped{text, n}
		}
		v.Rows, reply = append(v.Rows, row), reply[2*texts:]
	}
	return nil
}
