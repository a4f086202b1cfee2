package scheduling

import "github.com/pintle-io/pintle/wasm/abi"

// placeByHeap places identical pods whose constraints do not couple nodes, or only
// so that a row, once closed, stays closed: only the chosen row changes its rank, so a heap of ranks answers each pod in O(log rows).
func (s *Strategy) placeByHeap(out []abi.Result) {
	h := s.heap[:0]
	for i, f := range s.fail[:s.rows] {
		if f == 0 {
			h = append(h, s.rank(i))
		}
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		siftDown(h, i)
	}
	s.alone = s.affinityAlone()
	for i := range out {
		for len(h) > 0 && s.closed(s.row(h[0])) {
			h[0] = h[len(h)-1]
			h = h[:len(h)-1]
			siftDown(h, 0)
		}
		if len(h) == 0 {
			s.filterDomains()
			s.refuse(out[i:])
			return
		}
		row := s.row(h[0])
		out[i] = abi.Result{Node: int32(row), Score: s.score[row]}
		s.apply(row)
		s.refilterRow(row)
		if s.fail[row] == 0 {
			s.rescoreRow(row)
			h[0] = s.rank(row)
		} else {
			h[0] = h[len(h)-1]
			h = h[:len(h)-1]
		}
		siftDown(h, 0)
		if len(s.domains) > 0 {
			for j := range s.domains {
				s.domains[j].placed(row)
			}
			s.alone = s.alone && s.affinityAlone()
		}
	}
}

func siftDown(h []uint64, i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if r := child + 1; r < len(h) && h[r] > h[child] {
			child = r
		}
		if h[i] >= h[child] {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
