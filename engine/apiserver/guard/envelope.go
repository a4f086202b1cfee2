package guard

import (
	"bytes"
	"iter"
	"reflect"

	"google.golang.org/protobuf/encoding/protowire"
)

// prefix begins every object that is sent as protobuf; rawNumber is the field of
// the envelope (runtime.Unknown) that holds the object.
var prefix = []byte("k8s\x00")

const rawNumber = 2

// checkEnvelope looks into the object that a protobuf body carries.
func checkEnvelope(body []byte, t reflect.Type) error {
	rest, ok := bytes.CutPrefix(body, prefix)
	if !ok {
		return nil
	}
	for raw := range submessages(rest, rawNumber) {
		if err := checkProtobuf(raw, t, 1); err != nil {
			return err
		}
	}
	return nil
}

// submessages are the values of a field of a message, up to where it is malformed.
func submessages(message []byte, number protowire.Number) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for at, value := range lengthDelimited(message) {
			if at == number && !yield(value) {
				return
			}
		}
	}
}

// lengthDelimited are the fields of a message that have a length: texts, bytes and
// messages.
func lengthDelimited(message []byte) iter.Seq2[protowire.Number, []byte] {
	return func(yield func(protowire.Number, []byte) bool) {
		for len(message) > 0 {
			number, kind, n := protowire.ConsumeField(message)
			if n < 0 {
				return
			}
			if kind == protowire.BytesType {
				_, _, tag := protowire.ConsumeTag(message)
				value, _ := protowire.ConsumeBytes(message[tag:])
				if !yield(number, value) {
					return
				}
			}
			message = message[n:]
		}
	}
}
