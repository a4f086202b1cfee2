package meter

// instruction is one decoded instruction.
type instruction struct {
	op    uint16 // opcode; prefixed ones are prefix<<8 | the low byte of the number
	index uint32 // of a global
	raw   []byte
	cost  int64
	// bulk, if not 0, is the charge in 1/16 fuel per unit of the length operand
	// on top of the stack.
	bulk int64
}

// scan calls visit for each instruction of code.
func scan(code []byte, visit func(instruction)) error {
	r := &reader{b: code}
	for r.left() > 0 {
		start := r.pos
		in := instruction{op: uint16(r.byte()), cost: 1}
		if !r.immediates(&in) {
			return refuse("unknown instruction %#x", in.op)
		}
		if r.bad {
			return refuse("an instruction is cut short")
		}
		in.raw = code[start:r.pos]
		visit(in)
	}
	return nil
}

// immediates reads what follows the opcode and sets cost and charge; false if the
// instruction is not known.
func (r *reader) immediates(in *instruction) bool {
	switch op := in.op; {
	case op == opEnd, op == opElse, op == 0x01, op == 0x1a: // nop, drop
		in.cost = 0
	case op == opUnreachable, op == opReturn, op == 0x1b, op == 0xd1:
	case op == opBlock || op == opLoop:
		in.cost = 0
		r.skipLEB(5)
	case op == opIf:
		r.skipLEB(5)
	case op >= 0x20 && op <= 0x22: // locals live in registers
		in.cost = 0
		r.u32()
	case op == opBr, op == opBrIf, op == 0xd2, op == 0x25, op == 0x26:
		r.u32()
	case op == opGlobalGet, op == opGlobalSet:
		in.index = r.u32()
	case op == opBrTable:
		in.cost = 3
		for range r.count() + 1 {
			r.u32()
		}
	case op == opCall:
		in.cost = 4
		r.u32()
	case op == opCallIndirect:
		in.cost = 8
		r.u32()
		r.u32()
	case op == 0x1c: // select with types
		r.take(r.count())
	case op >= 0x28 && op <= 0x3e:
		return r.memarg()
	case op == 0x3f:
		r.byte()
	case op == opMemoryGrow:
		in.cost, in.bulk = 100, 16*4096
		r.byte()
	case op == opI32Const:
		in.cost = 0
		r.skipLEB(5)
	case op == opI64Const:
		in.cost = 0
		r.skipLEB(10)
	case op == 0x43:
		r.take(4)
	case op == 0x44:
		r.take(8)
	case op >= 0x45 && op <= 0xc4:
		in.cost = arithmetic(op)
	case op == 0xd0:
		r.byte()
	case op == 0xfc:
		return r.bulkOp(in)
	case op == 0xfd:
		return r.vector(in)
	default:
		return false
	}
	return true
}

// arithmetic is the cost of instructions without operands: what takes a machine
// many cycles costs more.
func arithmetic(op uint16) int64 {
	switch {
	case op >= 0x6d && op <= 0x70, op >= 0x7f && op <= 0x82: // integer division
		return 8
	case op == 0x91, op == 0x95, op == 0x9f, op == 0xa3: // float square root, division
		return 3
	}
	return 1
}

func (r *reader) memarg() bool {
	align := r.u32()
	r.skipLEB(10)
	return align < 64 // a set bit 6 names a second memory
}

func (r *reader) bulkOp(in *instruction) bool {
	n := r.u32()
	in.op = 0xfc<<8 | uint16(n)&0xff
	switch n {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating truncation
	case 8: // memory.init
		in.cost, in.bulk = 10, 4
		r.u32()
		r.byte()
	case 9, 13: // data.drop, elem.drop
		r.u32()
	case 10: // memory.copy
		in.cost, in.bulk = 10, 4
		r.byte()
		r.byte()
	case 11: // memory.fill
		in.cost, in.bulk = 10, 4
		r.byte()
	case 12, 14: // table.init, table.copy
		in.cost, in.bulk = 10, 16
		r.u32()
		r.u32()
	case 15, 17: // table.grow, table.fill
		in.cost, in.bulk = 10, 16
		r.u32()
	case 16: // table.size
		r.u32()
	default:
		return false
	}
	return true
}

func (r *reader) vector(in *instruction) bool {
	n := r.u32()
	in.op, in.cost = 0xfd<<8|uint16(n)&0xff, 2
	switch {
	case n <= 11, n == 92, n == 93:
		return r.memarg()
	case n == 12, n == 13:
		r.take(16)
	case n >= 21 && n <= 34:
		r.byte()
	case n >= 84 && n <= 91:
		ok := r.memarg()
		r.byte()
		return ok
	case n > 255: // relaxed SIMD differs between machines
		return false
	}
	return true
}
