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
			filterBits(s.fail, s.view.Bits(e.Column), s.rows, 1, 1<<abi.ReasonAffinity)
		case abi.OpPort:
			filterBits(s.fail, s.view.Bits(e.Column), s.rows, 0, 1<<abi.ReasonPorts)
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

func filterRequest(fail []uint16, free []int64, ask int64, bit uint16) {
	fail = fail[:len(free)]
	for i, f := range free {
		if f < ask {
			fail[i] |= bit
		}
	}
}

func filterTaint(fail []uint16, taints []uint64, refused uint64) {
	fail = fail[:len(taints)]
	for i, t := range taints {
		if t&refused != 0 {
			fail[i] |= 1 << abi.ReasonTaint
		}
	}
}

// filterBits refuses the rows whose bit is not want. A column that does not exist
// counts as all zero.
func filterBits(fail []uint16, words []uint64, rows int, want uint64, bit uint16) {
	if words == nil {
		if want == 1 {
			for i := range fail[:rows] {
				fail[i] |= bit
			}
		}
		return
	}
	fail = fail[:rows]
	for i := range fail {
		if words[i>>6]>>(uint(i)&63)&1 != want {
			fail[i] |= bit
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
