package guard

import (
	"bytes"
	"reflect"

	"google.golang.org/protobuf/encoding/protowire"
)

// prefix begins every object that is sent as protobuf.
var prefix = []byte("k8s\x00")

// checkEnvelope looks into the object that a protobuf body carries.
func checkEnvelope(body []byte, t reflect.Type) error {
	rest, ok := bytes.CutPrefix(body, prefix)
	if !ok {
		return nil
	}
	const rawNumber = 2 // runtime.Unknown.Raw
	for len(rest) > 0 {
		number, kind, n := protowire.ConsumeField(rest)
		if n < 0 {
			return nil
		}
		if number == rawNumber && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(rest)
			raw, _ := protowire.ConsumeBytes(rest[tag:])
			if err := checkProtobuf(raw, t); err != nil {
				return err
			}
		}
		rest = rest[n:]
	}
	return nil
}
