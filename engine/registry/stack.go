package registry

// stackWanted is what most requests need of stack on each of the goroutines that
// upstream's handlers run them on.
const stackWanted = 24 << 10

// GrowStack makes the calling goroutine's stack large enough for a request at once.
// A new goroutine has 2 KiB, and doubling it step by step, with a copy of all
// frames each time, took an eighth of the processor time of a write.
func GrowStack() { largeFrame(0) }

// largeFrame has a frame of stackWanted. It reads where it is told to, or else the
// compiler would do without the frame.
//
//go:noinline
func largeFrame(at int) byte {
	var room [stackWanted]byte
	return room[at]
}
