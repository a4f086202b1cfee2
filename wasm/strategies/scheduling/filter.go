package scheduling

import "github.com/pintle-io/pintle/wasm/abi"

// filter fills s.fail with every filter that does not depend on domains.
func (s *Strategy) filter() {
	s.filterFlags()
	if n := s.class.Node; n != abi.NoNode {
		for i := range s.fail[:s.rows] {
			if i != int(n) {
				s.fail[i] |= 1 << abi.ReasonNodeName
			}
		}
	}
	for i := range s.class.Entries {
		e := &s.class.Entries[i]
		switch e.Op {
		case abi.OpRequest:
			filterRequest(s.fail, s.view.I64(e.Column), e.A, requestBit(e.Column))
		case abi.OpTaint:
			filterTaint(s.fail, s.view.U64(e.Column), uint64(e.A))
		case abi.OpMask:
			filterBits(s.fail, s.view.Bits(e.Column), s.rows, 1, abi.ReasonAffinity)
		case abi.OpPort:
			filterBits(s.fail, s.view.Bits(e.Column), s.rows, 0, abi.ReasonPorts)
		}
	}
}

func (s *Strategy) filterFlags() {
	verdict := [4]uint16{absent, 0, absent, 1 << abi.ReasonUnschedulable}
	if s.class.Flags&abi.ToleratesUnschedulable != 0 {
		verdict[3] = 0
	}
	flags := s.view.U8(abi.Flags.Column(0))
	fail := s.fail[:len(flags)]
	for i, f := range flags {
		fail[i] = verdict[f&3]
	}
}

// The loops below have no branches and take four rows a turn: in Go's Wasm every
// taken branch, that to the next turn included, is an indirect jump.

func filterRequest(fail []uint16, free []int64, ask int64, bit uint16) {
	n := len(free)
	fail = fail[:n]
	i := 0
	for ; i+4 <= n; i += 4 {
		f, g := (*[4]int64)(free[i:]), (*[4]uint16)(fail[i:])
		g[0] |= uint16((f[0]-ask)>>63) & bit
		g[1] |= uint16((f[1]-ask)>>63) & bit
		g[2] |= uint16((f[2]-ask)>>63) & bit
		g[3] |= uint16((f[3]-ask)>>63) & bit
	}
	for ; i < n; i++ {
		fail[i] |= uint16((free[i]-ask)>>63) & bit
	}
}

func filterTaint(fail []uint16, taints []uint64, refused uint64) {
	n := len(taints)
	fail = fail[:n]
	i := 0
	for ; i+4 <= n; i += 4 {
		t, g := (*[4]uint64)(taints[i:]), (*[4]uint16)(fail[i:])
		g[0] |= nonzero(t[0]&refused) << abi.ReasonTaint
		g[1] |= nonzero(t[1]&refused) << abi.ReasonTaint
		g[2] |= nonzero(t[2]&refused) << abi.ReasonTaint
		g[3] |= nonzero(t[3]&refused) << abi.ReasonTaint
	}
	for ; i < n; i++ {
		fail[i] |= nonzero(taints[i]&refused) << abi.ReasonTaint
	}
}

// nonzero is 1 unless x is 0.
func nonzero(x uint64) uint16 { return uint16((x | -x) >> 63) }

// filterBits refuses the rows whose bit is not want. A column that does not exist
// counts as all zero. fail has room for whole words.
func filterBits(fail []uint16, words []uint64, rows int, want uint64, reason abi.Reason) {
	for w := range (rows + 63) / 64 {
		word := uint64(0)
		if words != nil {
			word = words[w]
		}
		word ^= -want // now the bits of rows to refuse
		if word == 0 {
			continue
		}
		g := (*[64]uint16)(fail[w*64:])
		for j := 0; j < 64; j += 4 {
			x := uint16(word >> uint(j) & 15)
			g[j&63] |= x & 1 << reason
			g[(j+1)&63] |= x >> 1 & 1 << reason
			g[(j+2)&63] |= x >> 2 & 1 << reason
			g[(j+3)&63] |= x >> 3 << reason
		}
	}
}

func requestBit(id abi.ID) uint16 {
	switch id.Index() {
	case abi.SlotCPU:
		return 1 << abi.ReasonCPU
	case abi.SlotMemory:
		return 1 << abi.ReasonMemory
	case abi.SlotPods:
		return 1 << abi.ReasonPods
	}
	return 1 << abi.ReasonResource
}

// refilterRow brings s.fail of one row up to date after a placement on it. Only
// resources and ports can have changed.
func (s *Strategy) refilterRow(row int) {
	for i := range s.class.Entries {
		e := &s.class.Entries[i]
		switch e.Op {
		case abi.OpRequest:
			if free := s.view.I64(e.Column); free != nil && free[row] < e.A {
				s.fail[row] |= requestBit(e.Column)
			}
		case abi.OpPort:
			if words := s.view.Bits(e.Column); words != nil && words[row>>6]>>(row&63)&1 != 0 {
				s.fail[row] |= 1 << abi.ReasonPorts
			}
		}
	}
}
