// Package admin serves a panel for operators: connections and their servers,
// the keys in them, and what the middlewares of this module keep there: rate
// limits, sessions, cached responses, locks and jobs.
//
//	panel, err := admin.New(set, admin.WithAuthorizer(func(r *http.Request) (admin.Access, error) {
//		user, err := staff(r) // identify the user, by your own session or proxy
//		return admin.Access{User: user, Read: err == nil, Write: isOperator(user)}, err
//	}))
//	if err != nil { … }
//	mux.Handle("/admin/", panel.Handler())
//
// set is a [connect.Set], or a single [connect.Conn], which
// [connect.FromClient] makes of a go-redis client. [New] makes a [Panel],
// [Panel.Handler] is the handler to mount.
//
// # Authorization
//
// There is no panel without an authorizer. It is called for every request, also
// for the style sheet. [Access].Read permits to see pages, Access.Write to
// change things as well; the zero Access permits neither. Each change must be
// confirmed, is rejected from other origins ([http.CrossOriginProtection]), and
// is reported to the hook of [WithAudit]. Pages have a strict
// Content-Security-Policy: no inline script or style, no frames, nothing from
// other origins.
//
// # What it shows
//
// Keys and values may be hostile. They are escaped; control bytes, invalid
// UTF-8 and characters that reverse text are made visible. Only the beginning
// of a value leaves Redis, whatever its size. Values of sessions are hidden,
// see [WithSessionValues] and [WithHiddenKeys], and so are all arguments in the
// slow log but the first.
//
// The panel knows the formats of this module's packages through the packages
// themselves; it decodes none of its own.
//
// # What it costs Redis
//
// Searches use SCAN, never KEYS, with a limit on keys and time, and continue
// where they stopped. Previews are limited in size, every call has a deadline,
// and a page costs a few round trips. A stream of charts reads INFO of one
// server once a second while it is open; there are at most 16 of them
// ([WithStreams]).
//
// # When Redis fails
//
// Pages are served within the time of [WithTimeout], 2 seconds by default, with
// the error in place of the data. Charts have a gap. A search that continues
// after a failover, or while slots move, may miss keys: start it again. If the
// server at which it stopped is no longer a master, the page says so. A write
// without a reply is reported to the hook with its error; it may have been
// done.
//
// # Mounting
//
// All links are relative, and the last part of the path alone selects the page,
// so any router and any prefix works, stripped or not. The panel is at the
// prefix with a slash behind it, and redirects there from the prefix without
// one.
//
// # Keys
//
// It creates none. It recognizes the keys of this module's packages under their
// default prefixes (docs/redis-keys.md), and under others if the application
// registers its middlewares: [WithLimiter], [WithSessions], [WithCache],
// [WithLocks], [WithJobs]. The commands that its Redis user needs are in
// docs/admin.md.
//
// # Redis and clusters
//
// It works on all topologies of package connect; docs/compatibility.md lists
// the servers. Searches visit the masters of a cluster one by one; the page of
// a replica reads from the replica itself.
//
// # Limitations
//
// It has no login and no users of its own. It is not a console: it runs no
// commands that users type and edits no values. It is not a monitoring system:
// charts start when a page is opened, and nothing is stored.
package admin
