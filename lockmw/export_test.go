package lockmw

// Waiting returns how many calls of this process wait for key.
func (l *Locker) Waiting(key string) int { return l.waiters.count(key) }

// Contend has the release take it that others wait for the lock: it runs release.lua.
func (k *Lock) Contend() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.written.waiters = true
}
