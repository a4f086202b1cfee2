package scheduling

import (
	"math"

	"github.com/pintle-io/pintle/wasm/abi"
)

// addDomainScores fills s.soft with s.score plus the scores of soft topology
// spread and of inter-pod affinity, for rows that pass s.dfail.
func (s *Strategy) addDomainScores() {
	copy(s.soft[:s.rows], s.score[:s.rows])
	var spread, prefer bool
	for i := range s.domains {
		switch s.domains[i].entry.Op {
		case abi.OpSpreadSoft:
			spread = true
		case abi.OpPrefer:
			prefer = true
		}
	}
	if spread {
		s.addSpread()
	}
	if prefer {
		s.addPrefer()
	}
}

// addSpread scores a row by how few matching pods its domains hold; every
// constraint weighs ln(domains+2), so that few large domains do not drown many
// small ones. A row that lacks one of the keys scores 0.
func (s *Strategy) addSpread() {
	raw := s.raw[:s.rows]
	clear(raw)
	for i := range s.domains {
		d := &s.domains[i]
		if d.entry.Op != abi.OpSpreadSoft {
			continue
		}
		if d.weight == 0 {
			d.weight = ln(float64(s.feasibleDomains(d) + 2))
		}
		values := s.valueTable(d, d.spreadValue)
		values[0] = d.withoutKey()
		addValues(raw, d.key, values)
	}
	low, high, any := int64(math.MaxInt64), int64(0), false
	for r, v := range raw {
		if s.dfail[r] == 0 && v < math.MaxFloat64 {
			n := int64(v + 0.5)
			low, high, any = min(low, n), max(high, n), true
		}
	}
	if !any {
		return
	}
	for r, v := range raw {
		if s.dfail[r] != 0 || v > math.MaxFloat64 {
			continue
		}
		s.soft[r] += weightSpread * spreadScore(int64(v+0.5), low, high)
	}
}

// spreadValue is what a domain with n matching pods adds to a row's raw score.
func (d *domain) spreadValue(n int32) float64 {
	return float64(float64(n)*d.weight) + float64(uint32(d.entry.A)) - 1
}

// spreadScore turns a raw score around: the least crowded get the most.
func spreadScore(n, low, high int64) int32 {
	if high <= 0 {
		return maxScore
	}
	return int32(maxScore * (high + low - n) / high)
}

// addPrefer scores a row by the weights of the preferred terms its domains meet.
func (s *Strategy) addPrefer() {
	raw := s.raw[:s.rows]
	clear(raw)
	for i := range s.domains {
		d := &s.domains[i]
		if d.entry.Op == abi.OpPrefer {
			values := s.valueTable(d, func(n int32) float64 { return float64(int64(n) * d.entry.A) })
			values[0] = 0
			addValues(raw, d.key, values)
		}
	}
	low, high := math.Inf(1), math.Inf(-1)
	for r, v := range raw {
		if s.dfail[r] == 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	if high <= low {
		return
	}
	for r, v := range raw {
		if s.dfail[r] == 0 {
			s.soft[r] += weightPodAff * int32(maxScore*float64(float64(v-low)/float64(high-low)))
		}
	}
}

func (s *Strategy) valueTable(d *domain, value func(int32) float64) []float64 {
	if cap(s.values) < len(d.sums) {
		s.values = make([]float64, 2*len(d.sums))
	}
	values := s.values[:len(d.sums)]
	for k := range values {
		values[k] = value(d.at(k))
	}
	return values
}

// addValues adds the value of each row's domain; without the key column every
// row has domain 0.
func addValues(raw []float64, key []uint32, values []float64) {
	if key == nil {
		for r := range raw {
			raw[r] += values[0]
		}
		return
	}
	for r, k := range key[:len(raw)] {
		if int(k) < len(values) {
			raw[r] += values[k]
		}
	}
}

// withoutKey is what a row without the key gets from a spread preference: it is
// left out, unless the preference is one that a pod has by default.
func (d *domain) withoutKey() float64 {
	if uint64(d.entry.A)>>32 != 0 {
		return 0
	}
	return math.Inf(1)
}

// feasibleDomains counts the domains that have a row which passes the filters and
// is not left out. Rows without the key of a default preference are one domain.
func (s *Strategy) feasibleDomains(d *domain) int {
	if cap(s.table) < len(d.sums) {
		s.table = make([]uint16, 2*len(d.sums))
	}
	seen, n := s.table[:len(d.sums)], 0
	clear(seen)
	for r, k := range d.key {
		if s.dfail[r] == 0 && int(k) < len(seen) && seen[k] == 0 && !s.leftOut(r) {
			seen[k] = 1
			n++
		}
	}
	return n
}

// leftOut reports whether the row lacks the key of a spread preference.
func (s *Strategy) leftOut(row int) bool {
	for i := range s.domains {
		d := &s.domains[i]
		if d.entry.Op == abi.OpSpreadSoft && uint64(d.entry.A)>>32 == 0 && (d.key == nil || d.key[row] == 0) {
			return true
		}
	}
	return false
}

// ln is the natural logarithm for x >= 1, by the series of atanh. math.Log may be
// machine code that rounds differently from one machine to the next; this is the
// same everywhere, and exact to about 1e-15.
func ln(x float64) float64 {
	fraction, exponent := math.Frexp(x)
	z := float64(fraction-1) / float64(fraction+1)
	square := float64(z * z)
	sum, power := 0.0, z
	for i := 1; i < 60; i += 2 {
		sum += float64(power / float64(i))
		power = float64(power * square)
	}
	return float64(float64(exponent)*math.Ln2) + float64(2*sum)
}
