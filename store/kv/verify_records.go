package kv

import (
	"fmt"
	"hash/maphash"
	"math/big"

	"github.com/cockroachdb/pebble/v2"
)

func (v *verifier) hash(key string, rev int64) uint64 {
	var h maphash.Hash
	h.SetSeed(v.seed)
	_, _ = h.Write(appendVersionKey(nil, key, rev))
	return h.Sum64()
}

// events checks that no revision is missing in the log, and calls fn for each
// record after the compacted revision.
func (v *verifier) events(fn func(rev int64, r logRecord)) error {
	first := v.report.Events == 0
	last, sub := v.report.Compacted, 0
	if last == 0 {
		last = firstRevision
	}
	last = v.beyondGaps(last)
	err := v.walk(spaceLog, func(key, value []byte) {
		rev, n, err := parseLogKey(key)
		if err == nil && rev <= v.report.Compacted {
			return // left to the next compaction
		}
		rec, recErr := parseLogRecord(value)
		switch {
		case err != nil || recErr != nil:
			v.note(first, Damage{Key: readableKey(key), Problem: "the event is malformed"})
			return
		case rev == last && n == sub+1, rev == last+1 && n == 0:
		default:
			v.note(first, Damage{Key: rec.key, Revision: rev, Problem: fmt.Sprintf("events after revision %d are missing", last)})
		}
		last, sub = v.beyondGaps(rev), n
		v.report.Events++
		fn(rev, rec)
	})
	if err == nil && last != v.report.Revision {
		v.note(first, Damage{Problem: fmt.Sprintf("the log ends at revision %d, the store is at %d", last, v.report.Revision)})
	}
	return err
}

func (v *verifier) note(really bool, d Damage) {
	if really {
		v.report.add(d)
	}
}

// beyondGaps is the revision that counts as the predecessor of the one after rev.
func (v *verifier) beyondGaps(rev int64) int64 {
	for _, g := range v.db.gaps {
		if g.after == rev {
			rev = g.before
		}
	}
	return rev
}

func (v *verifier) expect(rev int64, r logRecord) {
	h := v.hash(r.key, rev)
	v.written[h], v.needed[h] = false, false
	if r.prevRev != 0 {
		v.needed[v.hash(r.key, r.prevRev)] = false
	}
}

// versions checks every version by itself, and against the events.
func (v *verifier) versions() error {
	var previous string
	return v.walk(spaceVersions, func(raw, record []byte) {
		key, rev, err := parseVersionKey(raw)
		if err != nil {
			v.report.add(Damage{Key: readableKey(raw), Problem: err.Error()})
			return
		}
		newest := string(key) != previous
		previous = string(key)
		v.report.Versions++
		h := v.hash(previous, rev)
		if _, needed := v.needed[h]; needed {
			v.needed[h] = true
		}
		if _, written := v.written[h]; !written && rev > v.report.Compacted {
			v.report.add(Damage{Key: previous, Revision: rev, Problem: "no event tells of this version"})
		}
		ver, err := parseVersion(record)
		if err == nil {
			err = v.version(previous, rev, ver, newest)
		}
		if err != nil {
			v.report.add(Damage{Key: previous, Revision: rev, Problem: err.Error()})
		}
	})
}

func (v *verifier) version(key string, rev int64, ver version, newest bool) error {
	if rev > v.report.Revision || v.db.inGap(rev) {
		return fmt.Errorf("the store is at revision %d", v.report.Revision)
	}
	if ver.tombstone {
		return nil
	}
	if ver.createRev <= 0 || ver.createRev > rev {
		return fmt.Errorf("created at revision %d", ver.createRev)
	}
	v.report.Bytes += int64(len(ver.value))
	if newest {
		v.report.Keys++
		if ver.expiry != 0 {
			v.expiring[v.hash(key, ver.expiry)] = false
		}
	}
	if v.check == nil {
		return nil
	}
	return v.check(key, rev, ver.value)
}

// missing names the versions that events tell of and that are not there.
func (v *verifier) missing() error {
	complete := true
	for _, seen := range v.needed {
		complete = complete && seen
	}
	if complete {
		return nil
	}
	events := v.report.Events
	err := v.events(func(rev int64, r logRecord) {
		for _, at := range []int64{rev, r.prevRev} {
			h := v.hash(r.key, at)
			if seen, needed := v.needed[h]; needed && !seen {
				v.needed[h] = true
				v.report.add(Damage{Key: r.key, Revision: at, Problem: "the version is missing"})
			}
		}
	})
	v.report.Events = events
	return err
}

// expiries checks that what expires is found when it does.
func (v *verifier) expiries() error {
	err := v.walk(spaceExpiry, func(raw, _ []byte) {
		expiry, key, err := parseExpiryKey(raw)
		if err != nil {
			v.report.add(Damage{Key: readableKey(raw), Problem: err.Error()})
			return
		}
		h := v.hash(key, expiry)
		if _, known := v.expiring[h]; !known {
			v.report.add(Damage{Key: key, Problem: "is to expire, but no such version is live"})
			return
		}
		v.expiring[h] = true
	})
	for _, seen := range v.expiring {
		if !seen {
			v.report.add(Damage{Problem: "an object that expires is not listed as such"})
		}
	}
	return err
}

// skipDamage positions it at the first key that can be read after one that cannot,
// which is somewhere behind last, and is false if there is none before end. Blocks
// are unreadable as a whole, so it finds the end of the block by bisection.
func skipDamage(it *pebble.Iterator, last, end []byte) bool {
	lo, hi := append(append([]byte{}, last...), 0), end
	readable := func(key []byte) bool { return it.SeekGE(key) || it.Error() == nil }
	const digits = 16
	for {
		shared := 0
		for shared < len(lo) && shared < len(hi) && lo[shared] == hi[shared] {
			shared++
		}
		a, b := number(lo[shared:], digits), number(hi[shared:], digits)
		for {
			mid := new(big.Int).Add(a, b)
			mid.Rsh(mid, 1)
			if mid.Cmp(a) == 0 {
				break
			}
			key := append(append([]byte{}, lo[:shared]...), mid.FillBytes(make([]byte, digits))...)
			if readable(key) {
				b, hi = mid, key
			} else {
				a, lo = mid, key
			}
		}
		grown := 0
		for grown < len(lo) && grown < len(hi) && lo[grown] == hi[grown] {
			grown++
		}
		if grown > shared {
			continue
		}
		for hi[len(hi)-1] == 0 && readable(hi[:len(hi)-1]) {
			hi = hi[:len(hi)-1]
		}
		return it.SeekGE(hi)
	}
}

// number reads up to n bytes as a fraction.
func number(b []byte, n int) *big.Int {
	padded := make([]byte, n)
	copy(padded, b)
	return new(big.Int).SetBytes(padded)
}
