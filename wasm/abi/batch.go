package abi

import (
	"encoding/binary"
	"unsafe"
)

// Batch is what sched_place is asked: pods by class, each class a run of
// identical pods. Results come in the same order: all pods of the first class,
// then all of the second.
//
// Wire layout: 32-byte header {magic u32, version u32, classes u32, pods u32,
// seed u64, size u32, reserved u32}, then per class a ClassHeader followed by its
// entries.
type Batch struct {
	// Seed breaks ties; it is the only randomness a strategy gets.
	Seed    uint64
	Classes []Class
}

// Class is a run of identical pods.
type Class struct {
	ClassHeader
	Entries []Entry
}

// ClassHeader is the fixed part of a class, 32 bytes.
type ClassHeader struct {
	// Count is the number of pods, at least 1.
	Count uint32
	// Flags: see ToleratesUnschedulable.
	Flags uint32
	// Node is the only row allowed, NoNode if every row is, NodeMissing if the
	// pod names a node that does not exist.
	Node int32
	// EntryCount is set by the encoder.
	EntryCount uint32
	// ScoreCPU and ScoreMemory are the requests used for scoring (a pod that asks
	// nothing counts with a default), in millicores and bytes.
	ScoreCPU, ScoreMemory int64
}

// Values of ClassHeader.Flags and ClassHeader.Node.
const (
	ToleratesUnschedulable = 1

	NoNode      = -1
	NodeMissing = -2
)

// Entry is one constraint, preference or effect of a class, 32 bytes. Domain sums
// are sums of the Count column Column over the rows of one domain of Key,
// counting only rows in Mask if Mask is not 0.
type Entry struct {
	Op     Op
	Column ID
	Key    ID
	Mask   ID
	A, B   int64
}

// Op says how an Entry is to be read.
type Op uint32

// Operations. Filters come first, then scores, then what a placement changes.
const (
	// OpRequest: Free column Column must be at least A; placing takes A.
	OpRequest Op = 1 + iota
	// OpTaint: the Taint word Column must have none of the bits A.
	OpTaint
	// OpMask: the row must be in Mask column Column.
	OpMask
	// OpPort: the row must not be in Port column Column.
	OpPort
	// OpSpread: A = maxSkew | minDomains<<32, B = self | domains<<32. The domain
	// sum of the row plus self, minus the least sum of any domain that has a row
	// in Mask, must not exceed maxSkew. A row without the key fails. Fewer than
	// minDomains domains count as a least sum of 0.
	OpSpread
	// OpAffinity: A = self, B = domains<<32. The domain sum must be above 0, or be
	// 0 everywhere in every OpAffinity entry while self is 1. A row without the
	// key fails.
	OpAffinity
	// OpAntiAffinity: A is 1 when the term belongs to existing pods; B =
	// domains<<32. The domain sum must be 0; a row without the key passes.
	OpAntiAffinity

	// OpSoftTaint: bits A of SoftTaint word Column that are set count against.
	OpSoftTaint
	// OpPreferMask: rows in Mask column Column gain weight A.
	OpPreferMask
	// OpImage: Image column Column is the image locality score.
	OpImage
	// OpSpreadSoft: as OpSpread, as a preference; A = maxSkew | default<<32. A row
	// without the key gains nothing from any of them, unless default is 1: then it
	// loses nothing by this one.
	OpSpreadSoft
	// OpPrefer: rows gain A times their domain sum; B = domains<<32.
	OpPrefer

	// OpAdd: placing adds A to Count column Column on the chosen row.
	OpAdd
	// OpSetBit: placing sets the chosen row in Port column Column.
	OpSetBit

	opEnd
)

// Domains is the number of domain numbers in use for Key, the 0 of rows without
// the label included.
func (e *Entry) Domains() int { return int(uint64(e.B) >> 32) }

// Pods is the number of pods in the batch.
func (b *Batch) Pods() int {
	n := 0
	for i := range b.Classes {
		n += int(b.Classes[i].Count)
	}
	return n
}

const batchHeader = 32

// Append encodes the batch to the end of buf, which must be 8-byte aligned in
// length.
func (b *Batch) Append(buf []byte) []byte {
	start := len(buf)
	buf = append(buf, make([]byte, batchHeader)...)
	for i := range b.Classes {
		c := b.Classes[i].ClassHeader
		c.EntryCount = uint32(len(b.Classes[i].Entries))
		buf = append(buf, unsafe.Slice((*byte)(unsafe.Pointer(&c)), 32)...)
		if e := b.Classes[i].Entries; len(e) > 0 {
			buf = append(buf, unsafe.Slice((*byte)(unsafe.Pointer(&e[0])), 32*len(e))...)
		}
	}
	le, h := binary.LittleEndian, buf[start:]
	le.PutUint32(h[0:], batchMagic)
	le.PutUint32(h[4:], Version)
	le.PutUint32(h[8:], uint32(len(b.Classes)))
	le.PutUint32(h[12:], uint32(b.Pods()))
	le.PutUint64(h[16:], b.Seed)
	le.PutUint32(h[24:], uint32(len(h)))
	return buf
}

// Decode reads a batch in place into b, reusing b.Classes; entries alias buf.
func (b *Batch) Decode(buf []byte) error {
	le := binary.LittleEndian
	if len(buf) < batchHeader || le.Uint32(buf) != batchMagic {
		return ErrMagic
	}
	if le.Uint32(buf[4:])>>16 != VersionMajor {
		return ErrVersion
	}
	if uintptr(unsafe.Pointer(&buf[0]))%8 != 0 {
		return ErrAlign
	}
	classes, size := int(le.Uint32(buf[8:])), uint64(le.Uint32(buf[24:]))
	if size > uint64(len(buf)) || size < batchHeader {
		return ErrBounds
	}
	b.Seed, b.Classes = le.Uint64(buf[16:]), b.Classes[:0]
	rest := buf[batchHeader:size]
	for range classes {
		if len(rest) < 32 {
			return ErrBounds
		}
		c := Class{ClassHeader: *(*ClassHeader)(unsafe.Pointer(&rest[0]))}
		rest = rest[32:]
		if uint64(c.EntryCount)*32 > uint64(len(rest)) {
			return ErrBounds
		}
		if c.EntryCount > 0 {
			c.Entries = unsafe.Slice((*Entry)(unsafe.Pointer(&rest[0])), c.EntryCount)
			rest = rest[32*len(c.Entries):]
		}
		for i := range c.Entries {
			if op := c.Entries[i].Op; op == 0 || op >= opEnd {
				return ErrOp
			}
		}
		b.Classes = append(b.Classes, c)
	}
	return nil
}
