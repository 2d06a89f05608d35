// Package session keeps sessions on the server: scs' data methods and its
// redisstore, on every Redis topology, behind its own handler.
//
//	sessions, err := session.New(rdb)
//	if err != nil { … }
//	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
//		sessions.RenewToken(r.Context()) // against session fixation
//		sessions.Put(r.Context(), "user", user)
//	})
//	handler = sessions.Handler(mux)
//
// # How it works
//
// The session is loaded when a handler first uses it and saved once before the
// final header: for Write, WriteHeader, Flush, ReadFrom, Hijack and return. A
// request that does not use it costs no command and gets no header; one that
// only reads, one round trip, and once in a tenth of the idle time a second
// that renews it. Informational responses pass, nothing is buffered. A change after the header is saved at
// return if it needs no new cookie; else [ErrHeadersSent] goes to the hook.
//
// # Security
//
// The cookie is __Host-session, Secure, HttpOnly, SameSite=Lax. Redis keys
// hold the SHA-256 of the token, never the token. Sessions end 12 hours after
// login and 30 minutes after their last use, by Redis' clock; with
// [Manager.RememberMe] only at the deadline. The deadline inside the value
// counts even if Redis still has the key. A cookie that cannot be a token costs no command. Responses that set the
// cookie are marked no-store. Against cross-site request forgery use
// [net/http.CrossOriginProtection] around the handler.
//
// [WithEncryption] encrypts the values at rest. A failover can bring back a
// session that was just logged out, because replication is
// asynchronous: [WithWaitReplicas] waits for the replicas and returns
// [ErrUnconfirmed] otherwise.
//
// # Users and devices
//
// [Manager.Login] binds a session to a user and adds it to the user's
// index; [Manager.Sessions] lists them, [Manager.Revoke] ends one,
// [Manager.RevokeOthers] and [Manager.RevokeAll] many in a few round trips. A
// login of another request that races RevokeAll fails. What a request itself
// revokes does not end the session that it makes with Login or RenewToken
// afterwards; after a change of the password call RenewToken and RevokeOthers,
// in any order. A login costs two round trips more; a
// session without it costs none.
//
// # When Redis fails
//
// A request whose session cannot be loaded within 250 ms or saved within 1 s
// gets 503 with Retry-After in place of the handler's response, or 500 where
// trying again cannot help; requests that do not use their session are served. [Manager.Require] responds before the handler
// runs, [FailAnonymous] serves readers without a session. No cookie is removed,
// so no user is logged out. After five failures in a row one request a second
// tries Redis; the others fail at once. A failover may lose the last writes; a lost key is a user logged
// out.
//
// # Concurrency
//
// A session is saved on the condition that it still is what the request has
// read, checked in Redis in the same round trip. If another request has saved
// since, the changes of both are merged, key by key, and it is tried again; of a
// key that both have changed the later wins, or what [WithMerge] says. If it was
// logged out or has expired since, it stays gone: nothing is written, the cookie
// is removed, [ErrGone] goes to the hook ([WithRejectGone] returns 401). A
// rotation that meets a logout is undone. One that meets another rotation
// stands, and a change that meets one reaches the new session: a double click
// logs no user out. The deadline is merged like a key. A request that only reads never
// writes the value, and what is put as it already is is not written; a map or a
// pointer's value that was changed in place is. Where requests of one session
// must not run at once at all, put a lock around the Handler, by
// [Manager.RequestKey].
//
// # Coming from scs
//
// The data methods have the names and signatures of scs'; scs.LoadAndSave becomes
// [Manager.Handler] (or LoadAndSave, its alias). [WithScsSessions] moves
// the sessions that scs and redisstore have written, so that no user is logged out.
//
// # Limitations
//
// It does not manage passwords, or users beyond the name given to Login. Do not
// store large or irreplaceable data: each session is read and written whole.
//
// # Keys
//
// The keys begin with [WithKeyPrefix] and [WithName], which is the name of the
// cookie by default.
// session:v1:<name>:<hash> is a string, the encoded session, with the
// TTL of the idle timeout, at most until the deadline. After Login,
// user:session:v1:<name>:{<hash>}:s and :e are the user's index. After a
// rotation user:session:v1:<name>:{<session key>}:m says for two minutes
// where the session went.
// [Manager.Iterate] visits all sessions, for operators.
package session
