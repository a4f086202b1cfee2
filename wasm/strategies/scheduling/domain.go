package scheduling

import "github.com/pintle-io/pintle/wasm/abi"

// domain is one entry that couples nodes: counts of pods summed over the nodes
// that share a label value.
type domain struct {
	entry *abi.Entry
	key   []uint32 // per row: domain number, 0 for none
	count []int32  // per row
	mask  []uint64 // rows that count; nil for all
	step  int32    // what placing one pod of the class adds
	// sums is per domain number; unseen for those without a row that counts.
	sums   []int32
	seen   int   // domains with a row that counts
	low    int32 // least sum among them
	atLow  int   // how many have it
	weight float64
}

const unseen = -1 << 31

// collectDomains gathers the class's coupled entries and sums their counts.
func (s *Strategy) collectDomains() {
	s.domains = s.domains[:0]
	need := 0
	for i := range s.class.Entries {
		e := &s.class.Entries[i]
		switch e.Op {
		case abi.OpSpread, abi.OpAffinity, abi.OpAntiAffinity, abi.OpSpreadSoft, abi.OpPrefer:
			d := domain{entry: e, key: s.view.U32(e.Key), count: s.view.I32(e.Column), mask: s.view.Bits(e.Mask)}
			if len(d.key) < s.rows || len(d.count) < s.rows {
				// Without its columns no row has the label.
				d.key, d.count = nil, nil
			}
			s.domains = append(s.domains, d)
			need += max(e.Domains(), 1)
		}
	}
	if cap(s.arena) < need {
		s.arena = make([]int32, need+need/2)
	}
	arena := s.arena[:need]
	for i := range s.domains {
		d := &s.domains[i]
		n := max(d.entry.Domains(), 1)
		d.sums, arena = arena[:n:n], arena[n:]
		s.sum(d)
		d.step = s.step(d.entry.Column)
	}
}

// step is what one placement of the class adds to the column.
func (s *Strategy) step(column abi.ID) int32 {
	n := int32(0)
	for i := range s.class.Entries {
		if e := &s.class.Entries[i]; e.Op == abi.OpAdd && e.Column == column {
			n += int32(e.A)
		}
	}
	return n
}

func (s *Strategy) sum(d *domain) {
	for i := range d.sums {
		d.sums[i] = unseen
	}
	sums, flags := d.sums, s.view.U8(abi.Flags.Column(0))
	for i, k := range d.key {
		if k == 0 || int(k) >= len(sums) || flags[i]&abi.RowPresent == 0 || !d.counts(i) {
			continue
		}
		if sums[k] == unseen {
			sums[k] = 0
			d.seen++
		}
		sums[k] += d.count[i]
	}
	d.findLow()
}

func (d *domain) counts(row int) bool {
	return d.mask == nil || d.mask[row>>6]>>(uint(row)&63)&1 != 0
}

func (d *domain) findLow() {
	d.low, d.atLow = 0, 0
	for _, n := range d.sums {
		switch {
		case n == unseen:
		case d.atLow == 0 || n < d.low:
			d.low, d.atLow = n, 1
		case n == d.low:
			d.atLow++
		}
	}
}

// placed accounts for one pod of the class on row.
func (d *domain) placed(row int) {
	if d.step == 0 || d.key == nil || !d.counts(row) {
		return
	}
	k := d.key[row]
	if k == 0 || int(k) >= len(d.sums) || d.sums[k] == unseen {
		return
	}
	was := d.sums[k]
	d.sums[k] += d.step
	if was == d.low {
		if d.atLow--; d.atLow == 0 {
			d.findLow()
		}
	} else if d.sums[k] <= d.low {
		d.findLow()
	}
}

// at is the domain's sum, 0 if it has none.
func (d *domain) at(k int) int32 {
	if n := d.sums[k]; n != unseen {
		return n
	}
	return 0
}

// minimum is the least matching number that skew is measured from.
func (d *domain) minimum() int32 {
	if minDomains := int(uint64(d.entry.A) >> 32); d.seen < minDomains {
		return 0
	}
	return d.low
}

// placeByDomain places pods one after the other; each placement changes the sums
// that the next pod sees.
func (s *Strategy) placeByDomain(out []abi.Result) {
	for i := range out {
		s.filterDomains()
		s.addDomainScores()
		best := s.best(s.soft, s.dfail)
		if best < 0 {
			s.refuse(out[i:])
			return
		}
		out[i] = abi.Result{Node: int32(best), Score: s.soft[best]}
		s.apply(best)
		s.refilterRow(best)
		if s.fail[best] == 0 {
			s.rescoreRow(best)
		}
		for j := range s.domains {
			s.domains[j].placed(best)
		}
	}
}

// filterDomains fills s.dfail with s.fail and the filters that depend on sums.
func (s *Strategy) filterDomains() {
	dfail := s.dfail[:s.rows]
	copy(dfail, s.fail[:s.rows])
	alone := s.affinityAlone()
	for i := range s.domains {
		d := &s.domains[i]
		bit, missing := d.reason()
		if bit == 0 {
			continue
		}
		table := s.verdicts(d, bit, missing, alone)
		if d.key == nil {
			for r := range dfail {
				dfail[r] |= missing
			}
			continue
		}
		for r, k := range d.key[:len(dfail)] {
			if int(k) < len(table) {
				dfail[r] |= table[k]
			}
		}
	}
}

// reason returns the fail bit of the entry and what rows without the key get; 0 if
// the entry is not a filter.
func (d *domain) reason() (bit, missing uint16) {
	switch d.entry.Op {
	case abi.OpSpread:
		return 1 << abi.ReasonSpread, 1 << abi.ReasonSpread
	case abi.OpAffinity:
		return 1 << abi.ReasonPodAffinity, 1 << abi.ReasonPodAffinity
	case abi.OpAntiAffinity:
		if d.entry.A != 0 {
			return 1 << abi.ReasonExisting, 0
		}
		return 1 << abi.ReasonPodAffinity, 0
	}
	return 0, 0
}

// verdicts is the table from domain number to fail bits.
func (s *Strategy) verdicts(d *domain, bit, missing uint16, alone bool) []uint16 {
	if cap(s.table) < len(d.sums) {
		s.table = make([]uint16, 2*len(d.sums))
	}
	table := s.table[:len(d.sums)]
	table[0] = missing
	self := int32(uint32(d.entry.B))
	switch d.entry.Op {
	case abi.OpSpread:
		limit := int32(uint32(d.entry.A)) + d.minimum() - self
		for k := 1; k < len(table); k++ {
			table[k] = 0
			if d.at(k) > limit {
				table[k] = bit
			}
		}
	case abi.OpAffinity:
		for k := 1; k < len(table); k++ {
			table[k] = 0
			if !alone && d.at(k) <= 0 {
				table[k] = bit
			}
		}
	case abi.OpAntiAffinity:
		for k := 1; k < len(table); k++ {
			table[k] = 0
			if d.at(k) > 0 {
				table[k] = bit
			}
		}
	}
	return table
}

// affinityAlone reports whether the class's pod affinity is met by the pod
// itself: it matches its own terms and no pod anywhere does.
func (s *Strategy) affinityAlone() bool {
	for i := range s.domains {
		d := &s.domains[i]
		if d.entry.Op != abi.OpAffinity {
			continue
		}
		if d.entry.A == 0 {
			return false
		}
		for k := 1; k < len(d.sums); k++ {
			if d.at(k) > 0 {
				return false
			}
		}
	}
	return true
}
