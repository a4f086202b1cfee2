package meter

import "bytes"

// Section numbers.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	sections
)

// order is the order in which sections appear in a module.
var order = []int{
	secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart,
	secElement, secDataCount, secCode, secData,
}

var preamble = []byte{0, 'a', 's', 'm', 1, 0, 0, 0}

type funcType struct{ params, results []byte }

// module is a parsed binary: sections as they were, and what rewriting needs.
type module struct {
	sections  [sections][]byte
	types     []funcType
	imports   []Import
	functions []uint32 // type index of each defined function
	globals   int
	bodies    [][]byte
}

func parse(b []byte) (*module, error) {
	if !bytes.HasPrefix(b, preamble) {
		return nil, refuse("not a WebAssembly 1 module")
	}
	m := &module{}
	r := &reader{b: b, pos: len(preamble)}
	last := -1
	for r.left() > 0 {
		id := int(r.byte())
		content := r.take(int(r.u32()))
		if r.bad {
			return nil, refuse("section %d is cut short", id)
		}
		if id == secCustom {
			continue // debugging names and the like
		}
		if id >= sections {
			return nil, refuse("unknown section %d", id)
		}
		at := indexOf(id)
		if at <= last {
			return nil, refuse("section %d is repeated or out of order", id)
		}
		last = at
		m.sections[id] = content
	}
	for _, step := range []func() error{m.parseTypes, m.parseImports, m.parseFunctions, m.parseGlobals, m.parseExports, m.parseCode, m.checkVectors} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func indexOf(section int) int {
	for i, s := range order {
		if s == section {
			return i
		}
	}
	return -1
}

func (m *module) parseTypes() error {
	r := &reader{b: m.sections[secType]}
	if len(r.b) == 0 {
		return nil
	}
	for range r.atMost(mostElements) {
		if r.byte() != 0x60 {
			return refuse("a type is not a function type")
		}
		m.types = append(m.types, funcType{params: r.take(r.atMost(mostSignature)), results: r.take(r.atMost(mostSignature))})
	}
	return done(r, "type")
}

func (m *module) parseImports() error {
	r := &reader{b: m.sections[secImport]}
	if len(r.b) == 0 {
		return nil
	}
	for range r.atMost(mostElements) {
		imp := Import{Module: r.name(), Name: r.name()}
		if kind := r.byte(); kind != 0 {
			return refuse("it imports %s.%s, which is not a function", imp.Module, imp.Name)
		}
		r.u32()
		m.imports = append(m.imports, imp)
	}
	return done(r, "import")
}

func (m *module) parseFunctions() error {
	r := &reader{b: m.sections[secFunction]}
	if len(r.b) == 0 {
		return nil
	}
	for range r.count() {
		t := r.u32()
		if int64(t) >= int64(len(m.types)) {
			return refuse("a function has unknown type %d", t)
		}
		m.functions = append(m.functions, t)
	}
	return done(r, "function")
}

func (m *module) parseGlobals() error {
	if len(m.sections[secGlobal]) > 0 {
		r := &reader{b: m.sections[secGlobal]}
		m.globals = r.atMost(mostElements)
		if r.bad {
			return refuse("the global section is malformed")
		}
	}
	return nil
}

func (m *module) parseExports() error {
	r := &reader{b: m.sections[secExport]}
	if len(r.b) == 0 {
		return nil
	}
	for range r.atMost(mostElements) {
		if name := r.name(); name == FuelGlobal || name == DepthGlobal {
			return refuse("it exports the reserved name %q", name)
		}
		kind, index := r.byte(), r.u32()
		if kind == 3 && int64(index) >= int64(m.globals) {
			return refuse("it exports unknown global %d", index)
		}
	}
	return done(r, "export")
}

func (m *module) parseCode() error {
	r := &reader{b: m.sections[secCode]}
	if len(r.b) > 0 {
		for range r.count() {
			m.bodies = append(m.bodies, r.take(int(r.u32())))
		}
		if err := done(r, "code"); err != nil {
			return err
		}
	}
	if len(m.bodies) != len(m.functions) {
		return refuse("%d functions are declared and %d defined", len(m.functions), len(m.bodies))
	}
	return nil
}

func done(r *reader, section string) error {
	if r.bad || r.left() != 0 {
		return refuse("the %s section is malformed", section)
	}
	return nil
}

func (m *module) check(l Limits) error {
	if len(m.bodies) > l.Functions {
		return refuse("%d functions, at most %d are allowed", len(m.bodies), l.Functions)
	}
	for i, b := range m.bodies {
		if len(b) > l.BodyBytes {
			return refuse("function %d has %d bytes of code, at most %d are allowed", i+len(m.imports), len(b), l.BodyBytes)
		}
	}
	return nil
}

// rewrite builds the metered module.
func (m *module) rewrite(l Limits) ([]byte, error) {
	rw := &rewriter{m: m, limits: l, fuel: uint32(m.globals), depth: uint32(m.globals) + 1}
	code := appendU32(nil, uint32(len(m.bodies)))
	for i := range m.bodies {
		body, err := rw.function(i)
		if err != nil {
			return nil, err
		}
		code = append(appendU32(code, uint32(len(body))), body...)
	}
	tables, err := limitTables(m.sections[secTable], l.TableSize)
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(preamble)
	for _, id := range order {
		content := m.sections[id]
		switch id {
		case secType:
			content = extend(content, len(m.types), rw.extraTypes)
		case secTable:
			content = tables
		case secGlobal:
			fuel := append([]byte{0x7e, 1, opI64Const}, append(appendS64(nil, l.StartFuel), opEnd)...)
			content = extend(content, m.globals, [][]byte{fuel, {0x7f, 1, opI32Const, 0, opEnd}})
		case secExport:
			content = extend(content, exportCount(content), [][]byte{
				exportGlobal(FuelGlobal, rw.fuel), exportGlobal(DepthGlobal, rw.depth),
			})
		case secCode:
			if len(m.bodies) > 0 {
				content = code
			}
		}
		if len(content) > 0 {
			out = append(appendU32(append(out, byte(id)), uint32(len(content))), content...)
		}
	}
	return out, nil
}

// extend appends elements to a vector section that has n of them.
func extend(section []byte, n int, more [][]byte) []byte {
	if len(more) == 0 {
		return section
	}
	out := appendU32(nil, uint32(n+len(more)))
	if len(section) > 0 {
		r := &reader{b: section}
		r.u32()
		out = append(out, section[r.pos:]...)
	}
	for _, e := range more {
		out = append(out, e...)
	}
	return out
}

func exportCount(section []byte) int {
	if len(section) == 0 {
		return 0
	}
	return (&reader{b: section}).count()
}

func exportGlobal(name string, index uint32) []byte {
	b := append(appendU32(nil, uint32(len(name))), name...)
	return appendU32(append(b, 3), index)
}

// limitTables bounds how far each table can grow, which no memory limit covers.
func limitTables(section []byte, most uint32) ([]byte, error) {
	if len(section) == 0 {
		return nil, nil
	}
	r := &reader{b: section}
	n := r.atMost(mostTables)
	out := appendU32(nil, uint32(n))
	for range n {
		typ, flag, low := r.byte(), r.byte(), r.u32()
		high := most
		if flag == 1 {
			high = min(high, r.u32())
		}
		if flag > 1 || low > high {
			return nil, refuse("a table of %d elements, at most %d are allowed", low, most)
		}
		out = appendU32(appendU32(append(out, typ, 1), low), high)
	}
	return out, done(r, "table")
}
