// Package admin serves a panel for operators: the connections of a
// [connect.Set] and their servers, the keys in them, and what the middlewares of
// this module keep there: rate limits, sessions, cached responses, locks and jobs.
//
//	panel, err := admin.New(set, admin.WithAuthorizer(func(r *http.Request) (admin.Access, error) {
//		user, err := staff(r) // who is it, by your own session or proxy
//		return admin.Access{User: user, Read: err == nil, Write: isOperator(user)}, err
//	}))
//	if err != nil { … }
//	mux.Handle("/admin/", panel.Handler())
//
// # Who may
//
// There is no panel without an authorizer, and it is asked for every request,
// also for the style sheet. Access.Read shows pages, Access.Write changes things
// besides; the zero Access does neither. Each change needs a confirmation, is
// refused to other origins ([http.CrossOriginProtection]) and is told to the
// hook of [WithAudit]. Pages carry a strict Content-Security-Policy: no inline
// script or style, no frames, nothing from elsewhere.
//
// # What it shows
//
// Keys and values are hostile: they are escaped, control bytes, invalid UTF-8
// and characters that turn text around are shown as what they are, and whatever
// its size only the beginning of a value leaves Redis. Values of sessions are
// hidden, see [WithSessionValues] and [WithHiddenKeys]; so are the arguments in the slow log
// behind the first.
//
// # What it costs Redis
//
// Searches use SCAN with a bound on keys and time, and go on where they stopped;
// never KEYS. Previews are bounded, every call has a deadline, and a page is a few round
// trips. A stream of charts asks one server once a second while it is open; there are at
// most 16 of them ([WithStreams]).
//
// # When Redis fails
//
// Pages are shown all the same, with the error where the answer would stand, within
// the time of [WithTimeout], 2 seconds. Charts have a gap. A search that goes on after a failover, or
// while slots move, may miss keys: begin it anew; where the server it stopped at is no master any more,
// it says so. A write without an answer is told to the
// hook with its error; it may have been done.
//
// # Where it is mounted
//
// All links are relative and the last part of the path alone says which page it
// is, so any router and any prefix will do, stripped or not. The panel is at
// the prefix with a slash behind; without it, it redirects there.
//
// # Keys
//
// It creates none. What middlewares have written it knows by docs/redis-keys.md, and
// under other prefixes by what [WithLimiter], [WithSessions], [WithCache], [WithLocks]
// and [WithJobs] lend. The commands that a Redis user needs for it are in docs/admin.md.
//
// # Redis and clusters
//
// All topologies of package connect, Redis 7.0; 6.2 is expected to do. Searches go
// through all masters of a cluster one by one; pages of replicas ask the replica itself.
//
// # What it is not
//
// No login: it has no users of its own. No console: it runs no command that
// somebody types, and edits no values. No monitoring: charts begin when a page is
// opened, and nothing is kept.
package admin
