package lockmw

// Waiting returns how many calls of this process wait for key.
func (l *Locker) Waiting(key string) int { return l.waiters.count(key) }
