package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero/api"
)

const (
	// JSONMemoryPages is the cap on the memory of modules that answer JSON: 32 MiB.
	JSONMemoryPages = 512
	// Fuel of a call at level L0: regardless, per byte of the request, and at most
	// (about 50 ms).
	callFuel     = 20_000_000
	callByteFuel = 1000
	mostCallFuel = 150_000_000
	// idleInstances is how many instances of a module wait for calls.
	idleInstances = 2
	// answerBytes bounds an answer; errorBytes the text of an error.
	answerBytes = 1 << 20
	errorBytes  = 1 << 10
	// failedBit of a result's length says that it is the text of an error.
	failedBit = 1 << 31
)

// ErrRefusal is an error that the strategy itself answered with.
var ErrRefusal = errors.New("strategy refused")

// Caller asks a module at level L0: JSON in, JSON out. It is safe for concurrent
// use; every call has an instance to itself.
type Caller struct {
	module *Module
	mu     struct {
		sync.Mutex
		idle   []*called
		closed bool
	}
}

// CallFuel is what a call with a request of this many bytes may use.
func CallFuel(size int) uint64 { return uint64(min(callFuel+callByteFuel*size, mostCallFuel)) }

// called is a guest with a buffer for requests.
type called struct {
	*guest
	call     api.Function
	in, size uint32
}

// NewCaller checks that the module answers at level L0 and starts an instance.
func NewCaller(m *Module) (*Caller, error) {
	if err := m.checkCall(); err != nil {
		return nil, fmt.Errorf("use %s for JSON calls: %w", m.Name, err)
	}
	c := &Caller{module: m}
	g, err := c.start()
	if err != nil {
		return nil, err
	}
	c.mu.idle = append(c.mu.idle, g)
	return c, nil
}

// Identity is the module's name and, behind an @, its digest.
func (c *Caller) Identity() string { return c.module.Name + "@" + c.module.Digest }

// Close ends the idle instances; those at work end with their call.
func (c *Caller) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.closed = true
	var errs []error
	for _, g := range c.mu.idle {
		errs = append(errs, g.close())
	}
	c.mu.idle = nil
	return errors.Join(errs...)
}

// Call asks one question. The answer is the caller's to keep. After any error but
// a refusal the instance is gone.
func (c *Caller) Call(_ context.Context, op int32, in []byte) (out []byte, fuel uint64, err error) {
	g, err := c.take()
	if err != nil {
		return nil, 0, err
	}
	out, used, err := g.ask(op, in)
	if err != nil && !errors.Is(err, ErrRefusal) {
		return nil, uint64(used), errors.Join(err, g.close())
	}
	return out, uint64(used), errors.Join(err, c.give(g))
}

func (c *Caller) start() (*called, error) {
	g, err := c.module.instantiate()
	if err != nil {
		return nil, err
	}
	return &called{guest: g, call: g.inst.ExportedFunction("call")}, nil
}

func (c *Caller) take() (*called, error) {
	c.mu.Lock()
	if n := len(c.mu.idle); n > 0 {
		g := c.mu.idle[n-1]
		c.mu.idle = c.mu.idle[:n-1]
		c.mu.Unlock()
		return g, nil
	}
	c.mu.Unlock()
	return c.start()
}

func (c *Caller) give(g *called) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed || len(c.mu.idle) >= idleInstances {
		return g.close()
	}
	c.mu.idle = append(c.mu.idle, g)
	return nil
}

// ask is one call.
func (g *called) ask(op int32, in []byte) ([]byte, int64, error) {
	if n := uint32(len(in)); n > g.size {
		size := n + n/2
		ptr, err := g.allocate(size, 8)
		if err != nil {
			return nil, 0, err
		}
		g.in, g.size = ptr, size
	}
	if !g.inst.Memory().Write(g.in, in) {
		return nil, 0, fmt.Errorf("%w: its memory is gone", ErrAnswer)
	}
	result, fuel, err := g.guest.call(g.call, int64(CallFuel(len(in))), uint64(uint32(op)), uint64(g.in), uint64(len(in)))
	if err != nil {
		return nil, fuel, err
	}
	ptr, size := uint32(result>>32), uint32(result)
	failed := size&failedBit != 0
	size &^= failedBit
	if size > answerBytes || failed && size > errorBytes {
		return nil, fuel, fmt.Errorf("%w: %d bytes", ErrAnswer, size)
	}
	raw, ok := g.inst.Memory().Read(ptr, size)
	if !ok {
		return nil, fuel, fmt.Errorf("%w: %d bytes at %#x", ErrAnswer, size, ptr)
	}
	if failed {
		return nil, fuel, fmt.Errorf("%w: %s", ErrRefusal, strings.ToValidUTF8(string(raw), "?"))
	}
	return append([]byte(nil), raw...), fuel, nil
}

// checkCall checks the export of level L0.
func (m *Module) checkCall() error {
	def, ok := m.code.ExportedFunctions()["call"]
	if !ok {
		return errors.New("it does not export call")
	}
	params, results := def.ParamTypes(), def.ResultTypes()
	if len(params) != 3 || params[0] != i32 || params[1] != i32 || params[2] != i32 || len(results) != 1 || results[0] != i64 {
		return errors.New("its export call has the wrong signature, want (i32, i32, i32) i64")
	}
	return nil
}
