package ratelimit

// Keys are those in Redis that count a key, one for each policy of the limiter;
// for operators. There are none with [WithEngine], and none of [WithLimitsFunc].
func (l *Limiter) Keys(key string) []string {
	if l.engine != nil {
		return nil
	}
	return l.redisKeys(l.static, key)
}
