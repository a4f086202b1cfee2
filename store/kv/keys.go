package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The first byte of every Pebble key.
const (
	spaceVersions = 'k'
	spaceExpiry   = 'x'
	spaceLog      = 'r'
	spaceTime     = 't'
	spaceMeta     = 'm'
)

var (
	metaFormat    = []byte{spaceMeta, 'f'}
	metaState     = []byte{spaceMeta, 's'}
	metaCompacted = []byte{spaceMeta, 'c'}
	metaGaps      = []byte{spaceMeta, 'g'}
)

// errRecord reports bytes this package did not write.
var errRecord = errors.New("malformed record")

func checkKey(key string) error {
	if key == "" || strings.IndexByte(key, 0) >= 0 {
		return fmt.Errorf("invalid key %q", key)
	}
	return nil
}

func appendVersionKey(b []byte, key string, rev int64) []byte {
	b = append(b, spaceVersions)
	b = append(b, key...)
	b = append(b, 0)
	return binary.BigEndian.AppendUint64(b, ^uint64(rev))
}

// appendVersionBound appends the Pebble key that sorts before every version of
// key and of all greater keys. A bound may end in NUL, as the successor of a key.
func appendVersionBound(b []byte, key string) []byte {
	b = append(b, spaceVersions)
	if n := len(key) - 1; n >= 0 && key[n] == 0 {
		return append(append(b, key[:n]...), 1)
	}
	return append(b, key...)
}

// appendVersionEnd appends the Pebble key that sorts after every version of key
// and before those of the next.
func appendVersionEnd(b []byte, key []byte) []byte {
	b = append(b, spaceVersions)
	b = append(b, key...)
	return append(b, 1)
}

func parseVersionKey(b []byte) (key []byte, rev int64, err error) {
	if len(b) < 11 || b[0] != spaceVersions || b[len(b)-9] != 0 {
		return nil, 0, fmt.Errorf("%w: version key %q", errRecord, b)
	}
	rev = int64(^binary.BigEndian.Uint64(b[len(b)-8:]))
	return b[1 : len(b)-9], rev, nil
}

func appendLogKey(b []byte, rev int64, sub int) []byte {
	b = append(b, spaceLog)
	b = binary.BigEndian.AppendUint64(b, uint64(rev))
	return binary.BigEndian.AppendUint32(b, uint32(sub))
}

func parseLogKey(b []byte) (rev int64, sub int, err error) {
	if len(b) != 13 || b[0] != spaceLog {
		return 0, 0, fmt.Errorf("%w: log key %q", errRecord, b)
	}
	return int64(binary.BigEndian.Uint64(b[1:])), int(binary.BigEndian.Uint32(b[9:])), nil
}

func appendExpiryKey(b []byte, expiry int64, key string) []byte {
	b = append(b, spaceExpiry)
	b = binary.BigEndian.AppendUint64(b, uint64(expiry))
	return append(b, key...)
}

func parseExpiryKey(b []byte) (expiry int64, key string, err error) {
	if len(b) < 10 || b[0] != spaceExpiry {
		return 0, "", fmt.Errorf("%w: expiry key %q", errRecord, b)
	}
	return int64(binary.BigEndian.Uint64(b[1:])), string(b[9:]), nil
}

func appendTimeKey(b []byte, seconds int64) []byte {
	b = append(b, spaceTime)
	return binary.BigEndian.AppendUint64(b, uint64(seconds))
}

// PrefixEnd is the least key greater than every key that starts with prefix, or
// "" when there is none.
func PrefixEnd(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return ""
}
