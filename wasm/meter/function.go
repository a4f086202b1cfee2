package meter

import "slices"

// Opcodes that rewriting treats by name.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opI32GtU       = 0x4b
	opI64LtS       = 0x53
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI64Sub       = 0x7d
	opI64Mul       = 0x7e
	opI64ExtendU   = 0xad

	emptyBlock = 0x40
	typeI32    = 0x7f
	typeI64    = 0x7e
)

// rewriter meters the functions of one module.
type rewriter struct {
	m           *module
	limits      Limits
	fuel, depth uint32   // global indexes
	extraTypes  [][]byte // block types added for functions with several results
}

// body is the state of one function's rewriting. While the function runs, its fuel
// is in a local, because a local is in a register: the global is read at entry and
// after calls, and written before calls, at every way out and before the trap.
type body struct {
	rw      *rewriter
	calls   bool   // the function calls; it counts its depth
	fuel    uint32 // the added i64 local that holds the fuel
	scratch uint32 // an added i32 local, used by bulk instructions
	out     []byte
	segment []byte // current run of instructions
	cost    int64  // of the run
	test    bool   // the run begins where fuel must be tested
	nesting int
}

// function returns the metered body of the i-th defined function.
func (rw *rewriter) function(i int) ([]byte, error) {
	t := rw.m.types[rw.m.functions[i]]
	r := &reader{b: rw.m.bodies[i]}
	groups := r.count()
	locals := uint64(0)
	for range groups {
		locals += uint64(r.u32())
		r.byte()
		if locals > uint64(rw.limits.Locals) {
			return nil, refuse("function %d has more than %d locals", i+len(rw.m.imports), rw.limits.Locals)
		}
	}
	if r.bad {
		return nil, refuse("function %d is malformed", i+len(rw.m.imports))
	}
	code := r.b[r.pos:]
	first := uint32(len(t.params)) + uint32(locals)
	b := &body{rw: rw, fuel: first, scratch: first + 1}
	var bulk bool
	if err := scan(code, func(in instruction) {
		b.calls = b.calls || in.op == opCall || in.op == opCallIndirect
		bulk = bulk || in.bulk > 0
	}); err != nil {
		return nil, err
	}
	added := []byte{1, typeI64}
	if bulk {
		added = append(added, 1, typeI32)
	}
	b.out = appendU32(nil, uint32(groups+len(added)/2))
	b.out = append(b.out, localGroups(r.b[:r.pos])...)
	b.out = append(b.out, added...)
	b.enter(t)
	b.test = b.calls
	return b.code(code, i+len(rw.m.imports))
}

// localGroups strips the vector length off a locals declaration.
func localGroups(decl []byte) []byte {
	r := &reader{b: decl}
	r.u32()
	return decl[r.pos:]
}

// enter counts the call, loads the fuel and opens the block that stands for the
// function's label, so that every way out passes the code that leave adds.
func (b *body) enter(t funcType) {
	if b.calls {
		b.out = appendU32(append(b.out, opGlobalGet), b.rw.depth)
		b.out = append(b.out, opI32Const, 1, opI32Add)
		b.out = appendU32(append(b.out, opGlobalSet), b.rw.depth)
		b.out = appendU32(append(b.out, opGlobalGet), b.rw.depth)
		b.out = appendS64(append(b.out, opI32Const), int64(b.rw.limits.CallDepth))
		b.out = append(b.out, opI32GtU, opIf, emptyBlock, opUnreachable, opEnd)
	}
	b.out = b.appendLoad(b.out)
	b.out = append(b.out, opBlock)
	switch len(t.results) {
	case 0:
		b.out = append(b.out, emptyBlock)
	case 1:
		b.out = append(b.out, t.results[0])
	default:
		b.out = appendS64(b.out, int64(b.rw.blockType(t.results)))
	}
}

// blockType returns the index of the type () -> results, adding it if need be.
func (rw *rewriter) blockType(results []byte) int {
	enc := append([]byte{0x60, 0}, appendU32(nil, uint32(len(results)))...)
	enc = append(enc, results...)
	for i, t := range rw.extraTypes {
		if slices.Equal(t, enc) {
			return len(rw.m.types) + i
		}
	}
	rw.extraTypes = append(rw.extraTypes, enc)
	return len(rw.m.types) + len(rw.extraTypes) - 1
}

// leave stores the fuel and counts the call down.
func (b *body) leave() {
	b.out = b.appendStore(b.out)
	if b.calls {
		b.out = appendU32(append(b.out, opGlobalGet), b.rw.depth)
		b.out = append(b.out, opI32Const, 1, opI32Sub)
		b.out = appendU32(append(b.out, opGlobalSet), b.rw.depth)
	}
	b.out = append(b.out, opEnd)
}

// appendLoad brings the fuel into its local, appendStore puts it back.
func (b *body) appendLoad(out []byte) []byte {
	out = appendU32(append(out, opGlobalGet), b.rw.fuel)
	return appendU32(append(out, opLocalSet), b.fuel)
}

func (b *body) appendStore(out []byte) []byte {
	out = appendU32(append(out, opLocalGet), b.fuel)
	return appendU32(append(out, opGlobalSet), b.rw.fuel)
}

// code meters the instructions.
func (b *body) code(code []byte, index int) ([]byte, error) {
	var fault error
	ended := false
	err := scan(code, func(in instruction) {
		if fault != nil {
			return
		}
		if ended {
			fault = refuse("function %d has code after its end", index)
			return
		}
		b.cost += in.cost
		switch in.op {
		case opGlobalGet, opGlobalSet:
			if int64(in.index) >= int64(b.rw.m.globals) {
				fault = refuse("function %d uses unknown global %d", index, in.index)
				return
			}
			b.segment = append(b.segment, in.raw...)
		case opReturn:
			b.segment = appendU32(append(b.segment, opBr), uint32(b.nesting))
		case opCall, opCallIndirect:
			b.segment = append(b.appendStore(b.segment), in.raw...)
			b.segment = b.appendLoad(b.segment)
		case opBlock:
			b.nesting++
			b.segment = append(b.segment, in.raw...)
		case opLoop, opIf:
			b.nesting++
			b.segment = append(b.segment, in.raw...)
			b.flush()
			b.test = in.op == opLoop
		case opElse:
			b.segment = append(b.segment, in.raw...)
			b.flush()
		case opEnd:
			b.segment = append(b.segment, in.raw...)
			b.flush()
			if b.nesting--; b.nesting < 0 {
				ended = true
			}
		default:
			if in.bulk > 0 {
				b.chargeBulk(in.bulk)
			}
			b.segment = append(b.segment, in.raw...)
		}
		if b.nesting > b.rw.limits.Nesting {
			fault = refuse("function %d nests more than %d blocks", index, b.rw.limits.Nesting)
		}
	})
	if err == nil {
		err = fault
	}
	if err == nil && !ended {
		err = refuse("function %d has no end", index)
	}
	if err != nil {
		return nil, err
	}
	b.leave()
	return b.out, nil
}

// flush writes the current run behind its charge.
func (b *body) flush() {
	if b.cost > 0 {
		b.out = appendU32(append(b.out, opLocalGet), b.fuel)
		b.out = appendS64(append(b.out, opI64Const), b.cost)
		b.out = append(b.out, opI64Sub)
		b.out = appendU32(append(b.out, opLocalSet), b.fuel)
	}
	if b.test {
		b.out = b.appendTest(b.out)
	}
	b.out = append(b.out, b.segment...)
	b.segment, b.cost, b.test = b.segment[:0], 0, false
}

// appendTest traps if fuel is below zero.
func (b *body) appendTest(out []byte) []byte {
	out = appendU32(append(out, opLocalGet), b.fuel)
	out = append(out, opI64Const, 0, opI64LtS, opIf, emptyBlock)
	return append(b.appendStore(out), opUnreachable, opEnd)
}

// chargeBulk charges the length on top of the stack, unit 1/16 fuel per element,
// before the instruction runs.
func (b *body) chargeBulk(unit int64) {
	s := b.segment
	s = appendU32(append(s, opLocalTee), b.scratch)
	s = appendU32(append(s, opLocalGet), b.fuel)
	s = appendU32(append(s, opLocalGet), b.scratch)
	s = append(s, opI64ExtendU)
	s = appendS64(append(s, opI64Const), unit)
	s = append(s, opI64Mul)
	s = append(s, opI64Const, 4, 0x88) // i64.shr_u
	s = append(s, opI64Sub)
	s = appendU32(append(s, opLocalSet), b.fuel)
	b.segment = b.appendTest(s)
}
