package kv

import (
	"encoding/binary"
	"fmt"
)

// Head is what conditions are checked against: the newest version of a key,
// without its value. The zero Head means that the key does not exist.
type Head struct {
	// ModRev is the revision that wrote this version, CreateRev the one that
	// created the key.
	ModRev, CreateRev int64
	// Expiry is when the key expires, in seconds since 1970; 0 is never.
	Expiry int64
	// Size is the length of the value.
	Size int
}

const (
	flagTombstone = 1 << iota
	flagExpiry
)

// version is one decoded record of the versions space.
type version struct {
	tombstone bool
	createRev int64
	expiry    int64
	value     []byte // aliases the record
}

func appendVersion(b []byte, v version) []byte {
	var flags byte
	if v.tombstone {
		flags |= flagTombstone
	}
	if v.expiry != 0 {
		flags |= flagExpiry
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(v.createRev))
	if v.expiry != 0 {
		b = binary.AppendUvarint(b, uint64(v.expiry))
	}
	return append(b, v.value...)
}

func parseVersion(b []byte) (v version, err error) {
	if len(b) == 0 {
		return v, fmt.Errorf("%w: empty version", errRecord)
	}
	flags := b[0]
	b = b[1:]
	v.tombstone = flags&flagTombstone != 0
	if v.createRev, b, err = takeInt(b); err != nil {
		return v, err
	}
	if flags&flagExpiry != 0 {
		if v.expiry, b, err = takeInt(b); err != nil {
			return v, err
		}
	}
	v.value = b
	return v, nil
}

// logRecord says what one operation of a revision did.
type logRecord struct {
	deleted bool
	// prevRev and prevSize describe the version this one replaced; prevRev is 0
	// if the key was absent.
	prevRev  int64
	prevSize int64
	key      string
}

func appendLogRecord(b []byte, r logRecord) []byte {
	var flags byte
	if r.deleted {
		flags |= flagTombstone
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(r.prevRev))
	b = binary.AppendUvarint(b, uint64(r.prevSize))
	return append(b, r.key...)
}

func parseLogRecord(b []byte) (r logRecord, err error) {
	if len(b) == 0 {
		return r, fmt.Errorf("%w: empty log record", errRecord)
	}
	r.deleted = b[0]&flagTombstone != 0
	b = b[1:]
	if r.prevRev, b, err = takeInt(b); err != nil {
		return r, err
	}
	if r.prevSize, b, err = takeInt(b); err != nil {
		return r, err
	}
	r.key = string(b)
	return r, nil
}

// historyCost is what the record and the version it replaced occupy until they
// are compacted.
func (r logRecord) historyCost() int64 {
	const perKey = 24
	cost := int64(len(r.key)) + perKey
	if r.prevRev != 0 {
		cost += int64(len(r.key)) + perKey + r.prevSize
	}
	return cost
}

func takeInt(b []byte) (int64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, fmt.Errorf("%w: bad integer", errRecord)
	}
	return int64(v), b[n:], nil
}

// state is the durable summary, rewritten by every commit.
type state struct {
	revision     int64
	historyBytes int64
}

func appendState(b []byte, s state) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(s.revision))
	return binary.BigEndian.AppendUint64(b, uint64(s.historyBytes))
}

func parseState(b []byte) (state, error) {
	if len(b) != 16 {
		return state{}, fmt.Errorf("%w: state of %d bytes", errRecord, len(b))
	}
	return state{
		revision:     int64(binary.BigEndian.Uint64(b)),
		historyBytes: int64(binary.BigEndian.Uint64(b[8:])),
	}, nil
}
