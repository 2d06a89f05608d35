package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/http"
	"slices"
	"strings"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
)

// unkeyed are fields that handlers take for part of the URL or method, though
// a client may send any. They select a variant as if every response varied by
// them, so no client can poison another's entry.
var unkeyed = []string{
	"Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Scheme",
	"X-Host", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "X-Original-Host", "X-Original-Url", "X-Rewrite-Url",
}

// Variant returns the secondary key: a hash of the selecting header values, as
// normalised as RFC 9111, section 4.1, allows. names are the fields that the stored
// responses vary by and the languages that exist. They are part of it, so a response that
// varies by other fields has another variant.
func (rs *Rules) Variant(names []string, h http.Header) string {
	var sum hash.Hash
	add := func(name string) {
		values := h[name]
		if len(values) == 0 {
			return
		}
		if sum == nil {
			sum = sha256.New()
		}
		sum.Write([]byte(cachekey.Join(name, normalized(name, values, names))))
	}
	for _, name := range unkeyed {
		add(name)
	}
	for _, name := range rs.Vary {
		add(name)
	}
	fields := FieldsOf(names)
	for _, name := range fields {
		add(name)
	}
	suffix := "0" // no header selects
	if sum != nil {
		suffix = hex.EncodeToString(sum.Sum(nil)[:16])
	}
	if len(fields) == 0 {
		return suffix
	}
	return suffix + "." + cachekey.Digest(cachekey.Join(fields...))[:8]
}

// LangMark begins a language among the names that are stored for a target: one in which
// it has a variant. No field name can begin so.
const LangMark = "{"

// FieldsOf returns the names of selecting fields without the languages among them.
func FieldsOf(names []string) []string {
	isLang := func(name string) bool { return strings.HasPrefix(name, LangMark) }
	if !slices.ContainsFunc(names, isLang) {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), isLang)
}

// LanguagesOf counts the languages among the names.
func LanguagesOf(names []string) int { return len(names) - len(FieldsOf(names)) }

// Language is the mark for a response that varies by Accept-Language and says
// in which one it is, "" for others.
func Language(fields []string, h http.Header) string {
	lang := strings.ToLower(strings.TrimSpace(h.Get("Content-Language")))
	if !slices.Contains(fields, "Accept-Language") || len(h["Content-Language"]) != 1 || !ValidToken.MatchString(lang) {
		return ""
	}
	return LangMark + lang
}

// normalized makes one of the many ways to write the same: lines folded, white
// space around list members dropped, and of the negotiation fields what else
// means nothing; see negotiate.go.
//
// A client with one preferred language that exists for the target gets that variant,
// whatever else it accepts: a handler would choose it too.
func normalized(name string, values, known []string) string {
	list := strings.Join(values, ",")
	switch name {
	case "Accept-Language":
		normal, best := languages(list)
		if best != "" && slices.Contains(known, LangMark+best) {
			return LangMark + best
		}
		return normal
	case "Accept-Encoding":
		return encodings(list)
	case "Accept-Charset":
		return charsets(list)
	case "Accept":
		return mediaRanges(list)
	}
	if len(values) == 1 && !strings.Contains(values[0], ",") {
		return strings.Trim(values[0], ows)
	}
	return strings.Join(items(list), ",")
}
