package meter

// Most elements of any vector in a module, functions, code and data bytes aside.
// A decoder makes room for a vector when it has read its length, so a few bytes
// could ask for gigabytes; and a small element may become a large struct.
const (
	mostElements   = 10_000
	mostSegments   = 100_000 // of data
	mostTables     = 8       // each may be as large as Limits.TableSize
	mostSignature  = 1000    // parameters, or results, of one type
	funcrefSegment = 4       // element segment flag: expressions, not indexes
)

// atMost reads a vector length that must not exceed most.
func (r *reader) atMost(most int) int {
	n := r.count()
	if n > most {
		r.bad = true
		return 0
	}
	return n
}

// constant reads a constant expression.
func (r *reader) constant() {
	for !r.bad {
		in := instruction{op: uint16(r.byte())}
		if !r.immediates(&in) {
			r.bad = true
		}
		if in.op == opEnd {
			return
		}
	}
}

// checkVectors walks the sections that are passed on as they are.
func (m *module) checkVectors() error {
	for _, s := range []struct {
		id   int
		name string
		most int
		walk func(*reader)
	}{
		{secMemory, "memory", 1, memoryLimits},
		{secGlobal, "global", mostElements, func(r *reader) { r.take(2); r.constant() }},
		{secElement, "element", mostElements, elementSegment},
		{secData, "data", mostSegments, dataSegment},
	} {
		if len(m.sections[s.id]) == 0 {
			continue
		}
		r := &reader{b: m.sections[s.id]}
		for range r.atMost(s.most) {
			if s.walk(r); r.bad {
				break
			}
		}
		if err := done(r, s.name); err != nil {
			return err
		}
	}
	return nil
}

func memoryLimits(r *reader) {
	flag := r.byte()
	r.u32()
	if flag == 1 {
		r.u32()
	}
	r.bad = r.bad || flag > 1
}

// elementSegment: the flag's bit 0 means passive or declared, bit 1 that a table
// or the kind is named, bit 2 that entries are expressions.
func elementSegment(r *reader) {
	flag := r.u32()
	if flag > 7 {
		r.bad = true
		return
	}
	if flag&1 == 0 {
		if flag&2 != 0 {
			r.u32()
		}
		r.constant()
	}
	if flag&3 != 0 {
		r.byte()
	}
	for range r.count() {
		if flag&funcrefSegment != 0 {
			r.constant()
		} else {
			r.u32()
		}
		if r.bad {
			return
		}
	}
}

func dataSegment(r *reader) {
	flag := r.u32()
	switch flag {
	case 0:
		r.constant()
	case 1:
	case 2:
		r.u32()
		r.constant()
	default:
		r.bad = true
		return
	}
	r.take(r.count())
}
