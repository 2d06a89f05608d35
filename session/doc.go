// Package session keeps sessions on the server: scs' data methods and its
// redisstore, on every Redis topology, behind its own handler.
//
//	sessions, err := session.New(rdb)
//	if err != nil { … }
//	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
//		user := r.FormValue("user") // once the password is verified
//		if err := sessions.Login(r.Context(), user, r.RemoteAddr, r.UserAgent()); err != nil { … }
//	})
//	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
//		if err := sessions.Destroy(r.Context()); err != nil { … }
//	})
//	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
//		sessions.Put(r.Context(), "visited", true)
//		fmt.Fprint(w, sessions.User(r.Context()))
//	})
//	handler = http.NewCrossOriginProtection().Handler(sessions.Handler(mux))
//
// [New] makes a [Manager], [Manager.Handler] is its middleware. [Manager.Put],
// [Manager.Get] and their kind read and change the session of a request; a
// [Key] does so with a type. [Manager.Login] and [Manager.RenewToken] give it a
// new token, against session fixation.
//
// # How it works
//
// The session is loaded when a handler first uses it and saved once before the
// final header: for Write, WriteHeader, Flush, ReadFrom, Hijack and return.
// Informational responses pass, nothing is buffered. A change after the header
// is saved at return if it needs no new cookie; else [ErrHeadersSent] goes to
// the hook.
//
// A request that does not use its session costs no command and gets no header.
// One that only reads costs one round trip, and once in a tenth of the idle
// time a second that renews it. One that changes the session costs two.
//
// # Security
//
// The cookie is __Host-session, Secure, HttpOnly, SameSite=Lax; see
// [WithCookie]. Redis keys hold the SHA-256 of the token, never the token. A
// cookie that cannot be a token costs no command. Responses that set the cookie
// are marked no-store. Against cross-site request forgery use
// [net/http.CrossOriginProtection] around the handler.
//
// Sessions end 12 hours after login ([WithLifetime]) and 30 minutes after their
// last use ([WithIdleTimeout]), by Redis' clock; with [Manager.RememberMe] only
// at the deadline. The deadline inside the value counts even if Redis still has
// the key.
//
// [WithEncryption] encrypts the values at rest. A failover can bring back a
// session that was just logged out, because replication is asynchronous:
// [WithWaitReplicas] waits for the replicas and returns [ErrUnconfirmed]
// otherwise.
//
// # Users and devices
//
// [Manager.Login] binds a session to a user and adds it to the user's index;
// [Manager.Sessions] lists them, [Manager.Revoke] ends one,
// [Manager.RevokeOthers] and [Manager.RevokeAll] many in a few round trips. A
// login of another request that races RevokeAll fails. What a request itself
// revokes does not end the session that it makes with Login or RenewToken
// afterwards; after a change of the password call RenewToken and RevokeOthers,
// in any order. A login costs two round trips more; a session without it costs
// none.
//
// # When Redis fails
//
// A request whose session cannot be loaded within 250 ms or saved within 1 s
// gets 503 with Retry-After in place of the handler's response, or 500 where
// retrying cannot help; requests that do not use their session are served.
// [Manager.Require] responds before the handler runs, [FailAnonymous] serves
// readers without a session. No cookie is removed, so no user is logged out.
// After five failures in a row one request a second tries Redis; the others
// fail at once. Requests that time out in one pause of Redis count as one
// failure. A failover may lose the last writes; a lost key is a user logged out.
//
// # Concurrency
//
// A session is saved on the condition that it still is what the request has
// read, checked in Redis in the same round trip. If another request has saved
// since, the changes of both are merged, key by key, and the save is tried
// again; of a key that both have changed the later wins, or what [WithMerge]
// returns. The deadline is merged like a key.
//
// If the session was logged out or has expired since, it stays so: nothing is
// written, the cookie is removed, [ErrGone] goes to the hook ([WithRejectGone]
// returns 401). A rotation that meets a logout is undone. One that meets
// another rotation stands, and a change that meets one reaches the new session:
// a double click logs no user out.
//
// A request that only reads never writes the value. A value that is put as it
// is already is not written either; a map or a pointer's value that was changed
// in place is. To serialize the requests of a session, put a lock around the
// Handler, by [Manager.RequestKey].
//
// # Coming from scs
//
// The data methods have the names and signatures of scs'; scs.LoadAndSave
// becomes [Manager.Handler] (or LoadAndSave, its alias). [WithScsSessions]
// moves the sessions that scs and redisstore have written, so that no user is
// logged out.
//
// # Limitations
//
// It does not manage passwords, or users beyond the name given to Login. Do not
// store large or irreplaceable data: each session is read and written whole.
//
// # Keys
//
// The keys begin with [WithKeyPrefix] and [WithName], which is the name of the
// cookie by default:
//
//   - session:v1:<name>:<hash> is a string, the encoded session, with the TTL
//     of the idle timeout, at most until the deadline.
//   - user:session:v1:<name>:{<hash>}:s and :e are the index of a user after
//     Login.
//   - user:session:v1:<name>:{<session key>}:m says for two minutes after a
//     rotation where the session went.
//   - user:session:v1:<name>:{<session key>}:w is written by [WithWaitReplicas]
//     and lives for a second.
//
// [ParseKey] parses them, and [Manager.Iterate] visits all sessions, for
// operators.
package session
