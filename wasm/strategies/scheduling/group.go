package scheduling

import (
	"math"

	"github.com/pintle-io/pintle/wasm/abi"
)

// How the nodes of a class are coupled decides how it is placed.
type coupling int

const (
	// uncoupled: only the chosen row changes.
	uncoupled coupling = iota
	// excluding: placing can only close domains, never open one or change scores.
	excluding
	// grouped: all coupled entries are over one key, so the rows of a domain
	// rise and fall together.
	grouped
	// entangled is all the rest.
	entangled
)

func (s *Strategy) coupling() coupling {
	if len(s.domains) == 0 {
		return uncoupled
	}
	scored, oneKey := false, true
	for i := range s.domains {
		d := &s.domains[i]
		switch d.entry.Op {
		case abi.OpSpread, abi.OpSpreadSoft, abi.OpPrefer:
			scored = true
		}
		if d.step < 0 {
			return entangled // a closed domain could open again
		}
		oneKey = oneKey && d.key != nil && d.entry.Key == s.domains[0].entry.Key && len(d.sums) == len(s.domains[0].sums)
	}
	switch {
	case !scored:
		return excluding
	case oneKey:
		return grouped
	}
	return entangled
}

// closed reports whether anti-affinity or affinity keeps the class off the row.
func (s *Strategy) closed(row int) bool {
	for i := range s.domains {
		d := &s.domains[i]
		k := 0
		if d.key != nil {
			k = int(d.key[row])
		}
		if k >= len(d.sums) {
			continue
		}
		switch d.entry.Op {
		case abi.OpAffinity:
			if k == 0 || !s.alone && d.at(k) <= 0 {
				return true
			}
		case abi.OpAntiAffinity:
			if k != 0 && d.at(k) > 0 {
				return true
			}
		}
	}
	return false
}

// groups holds a heap of ranks per domain, one after the other in s.heap.
type groups struct {
	start, size []int32 // per domain number
	verdict     []uint16
	value       []float64
	score       []int32
}

// placeByGroup places pods whose coupled entries share one key: the best row of a
// domain is on top of its heap, and what a placement changes beyond its row, it
// changes for whole domains.
func (s *Strategy) placeByGroup(out []abi.Result) {
	g := &s.groups
	s.buildGroups(g)
	for i := range out {
		s.judgeGroups(g)
		best, top := -1, int64(-1)
		for k, n := range g.size {
			if n == 0 || g.verdict[k] != 0 {
				continue
			}
			if rank := int64(s.heap[g.start[k]]) + int64(g.score[k])<<(roomBits+turnBits); rank > top {
				best, top = k, rank
			}
		}
		if best < 0 {
			s.filterDomains()
			s.refuse(out[i:])
			return
		}
		row := s.row(uint64(top))
		out[i] = abi.Result{Node: int32(row), Score: s.score[row] + g.score[best]}
		s.apply(row)
		s.refilterRow(row)
		h := s.heap[g.start[best] : g.start[best]+g.size[best]]
		if s.fail[row] == 0 {
			s.rescoreRow(row)
			h[0] = s.rank(row)
		} else {
			h[0] = h[len(h)-1]
			h = h[:len(h)-1]
			g.size[best]--
		}
		siftDown(h, 0)
		for j := range s.domains {
			s.domains[j].placed(row)
		}
	}
}

// buildGroups sorts the rows that pass the filters into heaps by domain.
func (s *Strategy) buildGroups(g *groups) {
	key, n := s.domains[0].key, len(s.domains[0].sums)
	if cap(g.start) < n {
		g.start, g.size, g.score = make([]int32, 2*n), make([]int32, 2*n), make([]int32, 2*n)
		g.verdict, g.value = make([]uint16, 2*n), make([]float64, 2*n)
	}
	g.start, g.size, g.score, g.verdict, g.value = g.start[:n], g.size[:n], g.score[:n], g.verdict[:n], g.value[:n]
	clear(g.size)
	for r, f := range s.fail[:s.rows] {
		if f == 0 && int(key[r]) < n {
			g.size[key[r]]++
		}
	}
	at := int32(0)
	for k, size := range g.size {
		g.start[k], g.size[k] = at, 0
		at += size
	}
	s.heap = s.heap[:at]
	for r, f := range s.fail[:s.rows] {
		if k := key[r]; f == 0 && int(k) < n {
			s.heap[g.start[k]+g.size[k]] = s.rank(r)
			g.size[k]++
		}
	}
	for k, size := range g.size {
		h := s.heap[g.start[k] : g.start[k]+size]
		for i := len(h)/2 - 1; i >= 0; i-- {
			siftDown(h, i)
		}
	}
}

// judgeGroups works out which domains are closed and what each adds to the score,
// as filterDomains and addDomainScores do by row.
func (s *Strategy) judgeGroups(g *groups) {
	clear(g.verdict)
	clear(g.score)
	alone := s.affinityAlone()
	var spread, prefer bool
	for i := range s.domains {
		d := &s.domains[i]
		switch d.entry.Op {
		case abi.OpSpreadSoft:
			spread = true
		case abi.OpPrefer:
			prefer = true
		default:
			bit, missing := d.reason()
			for k, v := range s.verdicts(d, bit, missing, alone) {
				g.verdict[k] |= v
			}
		}
	}
	if spread {
		s.spreadGroups(g)
	}
	if prefer {
		s.preferGroups(g)
	}
}

// open reports whether a pod could go to the domain.
func (g *groups) open(k int) bool { return g.size[k] > 0 && g.verdict[k] == 0 }

func (s *Strategy) spreadGroups(g *groups) {
	clear(g.value)
	for i := range s.domains {
		d := &s.domains[i]
		if d.entry.Op != abi.OpSpreadSoft {
			continue
		}
		if d.weight == 0 {
			feasible := 0
			first := 1 // domain 0 has the rows without the key
			if !math.IsInf(d.withoutKey(), 1) {
				first = 0
			}
			for k := first; k < len(g.size); k++ {
				if g.open(k) {
					feasible++
				}
			}
			d.weight = ln(float64(feasible + 2))
		}
		without := g.value[0] + d.withoutKey()
		for k := range g.value {
			g.value[k] += d.spreadValue(d.at(k))
		}
		g.value[0] = without
	}
	low, high, any := int64(math.MaxInt64), int64(0), false
	for k, v := range g.value {
		if g.open(k) && v < math.MaxFloat64 {
			n := int64(v + 0.5)
			low, high, any = min(low, n), max(high, n), true
		}
	}
	if !any {
		return
	}
	for k, v := range g.value {
		if g.open(k) && v < math.MaxFloat64 {
			g.score[k] += weightSpread * spreadScore(int64(v+0.5), low, high)
		}
	}
}

func (s *Strategy) preferGroups(g *groups) {
	clear(g.value)
	for i := range s.domains {
		d := &s.domains[i]
		if d.entry.Op == abi.OpPrefer {
			for k := 1; k < len(g.value); k++ {
				g.value[k] += float64(int64(d.at(k)) * d.entry.A)
			}
		}
	}
	low, high := math.Inf(1), math.Inf(-1)
	for k, v := range g.value {
		if g.open(k) {
			low, high = min(low, v), max(high, v)
		}
	}
	if high <= low {
		return
	}
	for k, v := range g.value {
		if g.open(k) {
			g.score[k] += weightPodAff * int32(maxScore*float64(float64(v-low)/float64(high-low)))
		}
	}
}
