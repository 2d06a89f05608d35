package ratelimit

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The fields of a key that counts several policies, see together.lua.
var (
	bucketField = regexp.MustCompile(`^g(\d{1,16}):(\d{1,16}):(\d{1,16}):(\d{1,16}):(\d{1,16})$`)
	windowField = regexp.MustCompile(`^w\d{1,16}:(\d{1,16}):(\d{1,16}):\d{1,16}$`)
	placesField = regexp.MustCompile(`^c\d{1,16}:\d{1,16}:(\d{1,16})$`)
	slotForm    = regexp.MustCompile(`:(\d{1,16}),`)
)

// decodeFields returns what a key of several policies says, ordered by their names,
// and nothing for another hash.
func decodeFields(fields map[string]string, now, expires time.Time) (all []Standing) {
	leases := map[string]int{} // that run, by policy
	for field, value := range fields {
		if policy, _, ok := strings.Cut(field, "|"); ok {
			if ends, err := strconv.ParseInt(value, 10, 64); err == nil && ends > now.UnixMicro() {
				leases[policy]++
			}
		}
	}
	for policy, value := range fields {
		if !validName.MatchString(policy) { // it belongs to another field
			continue
		}
		st := Standing{Policy: policy, Expires: expires}
		if m := bucketField.FindStringSubmatch(value); m != nil {
			st.Kind, st.Used, st.Blocked = "bucket", owed(m[1:5], now), blockedUntil(m[5], now)
		} else if m := windowField.FindStringSubmatch(value); m != nil {
			st.Kind, st.Used, st.Blocked = "window", number(m[1])+counted(fields[policy+"|"]), blockedUntil(m[2], now)
		} else if m := placesField.FindStringSubmatch(value); m != nil {
			st.Kind, st.Used, st.Blocked = "places", float64(leases[policy]), blockedUntil(m[1], now)
		} else {
			continue
		}
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b Standing) int { return cmp.Compare(a.Policy, b.Policy) })
	return all
}

// number converts digits.
func number(digits string) float64 {
	n, _ := strconv.ParseFloat(digits, 64)
	return n
}

// owed returns what a bucket counts now: its debt, when that was written, its token and
// its drain.
func owed(m []string, now time.Time) float64 {
	debt, token := number(m[0]), number(m[2])
	if token <= 0 {
		return 0
	}
	elapsed := max(float64(now.UnixMicro())-number(m[1]), 0)
	return max(debt-elapsed*number(m[3]), 0) / token
}

// counted adds up slots of a window.
func counted(slots string) (sum float64) {
	for _, m := range slotForm.FindAllStringSubmatch(slots, -1) {
		sum += number(m[1])
	}
	return sum
}
