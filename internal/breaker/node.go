package breaker

import (
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// node names what serves a key: a master by its address, which outlives the
// client that go-redis has for it; a shard of a ring by its client, for shards
// behind sentinels have no address; part of the slots by its number.
type node struct {
	addr  string
	shard *redis.Client
	part  int
}

// setClient notes how the nodes of rdb are found.
func (s *Set) setClient(rdb any) {
	switch c := bounded.Unwrap(rdb).(type) {
	case bounded.Cluster:
		s.cluster = c
	case bounded.Ring:
		s.ring = c
	case bounded.Single:
		s.single = true
	default:
		s.whole.limit = failuresOfAll
	}
}

// nodeOf finds what serves key without asking Redis; false means that it is
// not known yet. A cluster's topology is known once go-redis has read it: it
// would be read here, by the request, so nothing is looked up before a call has
// ended.
func (s *Set) nodeOf(key string) (node, bool) {
	switch {
	case s.single:
		return node{}, false
	case s.cluster != nil:
		if !s.known.Load() {
			return node{}, false
		}
		master, err := s.cluster.MasterForKey(s.dead, key)
		if err != nil {
			return node{}, false
		}
		return node{addr: master.Options().Addr}, true
	case s.ring != nil:
		shard, err := s.ring.GetShardClientForKey(key)
		if err != nil {
			return node{}, false
		}
		return node{shard: shard}, true
	}
	return node{part: slot(key) / (slots / parts)}, true
}

// learn notes whether go-redis has read the topology of a cluster by now.
func (s *Set) learn(o Outcome, key string) {
	if s.cluster == nil || s.known.Load() {
		return
	}
	if o != Answered { // an answer comes from a node that the topology named
		if _, err := s.cluster.MasterForKey(s.dead, key); err != nil {
			return
		}
	}
	s.known.Store(true)
}

const (
	slots = 16384
	// parts is into how many the slots are divided when it is not known which
	// nodes serve them. Masters have ranges of slots, so that nearly all parts
	// are one master's.
	parts = 256
	// failuresOfAll is after how many failures in a row, of all parts together,
	// nothing of Redis is taken to be there.
	failuresOfAll = 32
)

// slot is a key's hash slot (redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec).
func slot(key string) int {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if j := strings.IndexByte(key[i+1:], '}'); j > 0 {
			key = key[i+1 : i+1+j]
		}
	}
	crc := uint16(0) // CRC-16/XMODEM
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}
