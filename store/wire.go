package store

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
)

// The protobuf form of an object is an envelope around a message:
//
//	"k8s\0"  1: type  2: message  3: content encoding  4: content type
//
// The message begins with the object's metadata (field 1), whose field 6 is the
// resource version. What is stored has an empty one; wire writes the message with
// another, in the very bytes the encoder would make.
const (
	envelopeMagic = "k8s\x00"

	tagMessage  = 2<<3 | 2 // in the envelope
	tagMetadata = 1<<3 | 2 // in an object, or a list
	tagItem     = 2<<3 | 2 // in a list
	tagRevision = 6<<3 | 2 // in metadata
)

// wire is a stored object, taken apart.
type wire struct {
	// before is the envelope up to the message, without the tag; after is what
	// follows the message.
	before, after []byte
	// head and tail are the metadata before and after the resource version, rest
	// the message after the metadata.
	head, tail, rest []byte
}

// parseWire takes apart what a protobuf serializer wrote; ok is false if it looks
// any different.
func parseWire(data []byte) (w wire, ok bool) {
	body, found := bytes.CutPrefix(data, []byte(envelopeMagic))
	if !found {
		return w, false
	}
	at, found := seek(body, tagMessage>>3)
	if !found {
		return w, false
	}
	message, end, found := field(body[at:], tagMessage)
	if !found {
		return w, false
	}
	w.before, w.after = data[:len(envelopeMagic)+at], body[at+end:]
	metadata, end, found := field(message, tagMetadata)
	if !found {
		return w, false
	}
	w.rest = message[end:]
	at, found = seek(metadata, tagRevision>>3)
	w.head, w.tail = metadata[:at], metadata[at:]
	if found {
		_, end, found = field(metadata[at:], tagRevision)
		if !found {
			return w, false
		}
		w.tail = metadata[at+end:]
	}
	return w, true
}

// field reads the length-delimited field that message begins with.
func field(message []byte, tag byte) (value []byte, end int, ok bool) {
	if len(message) == 0 || message[0] != tag {
		return nil, 0, false
	}
	size, n := binary.Uvarint(message[1:])
	if n <= 0 || size > uint64(len(message)-1-n) {
		return nil, 0, false
	}
	end = 1 + n + int(size)
	return message[1+n : end], end, true
}

// seek returns where the first field numbered at least number begins, or the end;
// found tells whether it has that very number. Fields are in order.
func seek(message []byte, number uint64) (at int, found bool) {
	for at < len(message) {
		tag, n := binary.Uvarint(message[at:])
		if n <= 0 || tag>>3 >= number {
			return at, n > 0 && tag>>3 == number
		}
		size, ok := valueSize(message[at+n:], tag&7)
		if !ok {
			return len(message), false
		}
		at += n + size
	}
	return at, false
}

// valueSize is the size of a field's value of a wire type.
func valueSize(rest []byte, wireType uint64) (int, bool) {
	size := 0
	switch wireType {
	case 0:
		_, size = binary.Uvarint(rest)
	case 1:
		size = 8
	case 2:
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)) {
			return 0, false
		}
		size = n + int(length)
	case 5:
		size = 4
	}
	return size, size > 0 && size <= len(rest)
}

func varintSize(n int) int { return (bits.Len64(uint64(n)|1) + 6) / 7 }

// metadataSize and size are those of the metadata and the message with a resource
// version of so many digits.
func (w *wire) metadataSize(digits int) int {
	return len(w.head) + 1 + varintSize(digits) + digits + len(w.tail)
}

func (w *wire) size(digits int) int {
	n := w.metadataSize(digits)
	return 1 + varintSize(n) + n + len(w.rest)
}

// appendMessage appends the message with a resource version.
func (w *wire) appendMessage(to []byte, revision []byte) []byte {
	to = appendSize(append(to, tagMetadata), w.metadataSize(len(revision)))
	to = append(to, w.head...)
	to = appendSize(append(to, tagRevision), len(revision))
	to = append(to, revision...)
	to = append(to, w.tail...)
	return append(to, w.rest...)
}

// appendObject appends message and envelope.
func (w *wire) appendObject(to []byte, revision []byte) []byte {
	to = append(to, w.before...)
	to = appendSize(append(to, tagMessage), w.size(len(revision)))
	to = w.appendMessage(to, revision)
	return append(to, w.after...)
}

func appendSize(to []byte, n int) []byte { return binary.AppendUvarint(to, uint64(n)) }

func appendRevision(to []byte, rev int64) []byte { return strconv.AppendInt(to, rev, 10) }

func revisionDigits(rev int64) int {
	n := 1
	for ; rev >= 10; rev /= 10 {
		n++
	}
	return n
}
