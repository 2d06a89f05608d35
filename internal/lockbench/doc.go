// Package lockbench compares lockmw with its peers, redsync and bsm/redislock,
// and with what a lock costs at least. It is a module of its own, for their sake.
package lockbench
