// Package call is level L0 for strategies written in Go: the export `call`, which
// takes JSON and answers JSON. The packages above it give it types; under plain
// `go test` the same functions are reached through Answer, without a guest.
package call

import (
	"encoding/json"
	"fmt"
)

// handlers by operation; they are set before the first call and a guest has one
// thread.
var handlers = map[int32]func(in []byte) ([]byte, error){}

// Handle sets what answers an operation.
func Handle(op int32, f func(in []byte) ([]byte, error)) { handlers[op] = f }

// HandleJSON sets a typed function as what answers an operation.
func HandleJSON[Q, A any](op int32, f func(*Q) (A, error)) {
	Handle(op, func(in []byte) ([]byte, error) { return Answer(f, in) })
}

// decoder is a request that reads itself faster than encoding/json would.
type decoder interface{ DecodeJSON(in []byte) error }

// Answer runs a typed function on JSON.
func Answer[Q, A any](f func(*Q) (A, error), in []byte) ([]byte, error) {
	var question Q
	decode := func(in []byte) error { return json.Unmarshal(in, &question) }
	if d, ok := any(&question).(decoder); ok {
		decode = d.DecodeJSON
	}
	if err := decode(in); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	answer, err := f(&question)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// dispatch answers one call.
func dispatch(op int32, in []byte) ([]byte, error) {
	f, ok := handlers[op]
	if !ok {
		return nil, fmt.Errorf("this strategy does not answer operation %d", op)
	}
	return f(in)
}
