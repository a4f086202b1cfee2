package abi

import (
	"encoding/binary"
	"unsafe"
)

// View reads a snapshot in place: its columns are slices of the bytes it was
// attached to, and writes through them are writes to those bytes.
type View struct {
	Rows       int
	Capacity   int
	Generation uint64

	image []byte
	index map[ID]column
}

// Attach checks the header and directory of b and returns a view of it. Columns
// of unknown type are ignored. b must be 64-byte aligned.
func Attach(b []byte) (*View, error) {
	le := binary.LittleEndian
	if len(b) < headerSize || le.Uint32(b) != snapshotMagic {
		return nil, ErrMagic
	}
	if le.Uint32(b[4:])>>16 != VersionMajor {
		return nil, ErrVersion
	}
	rows, capacity := uint64(le.Uint32(b[8:])), uint64(le.Uint32(b[12:]))
	count, size := uint64(le.Uint32(b[24:])), uint64(le.Uint32(b[28:]))
	if size > uint64(len(b)) || rows > capacity || headerSize+entrySize*count > size {
		return nil, ErrBounds
	}
	if capacity%Align != 0 || uintptr(unsafe.Pointer(&b[0]))%Align != 0 {
		return nil, ErrAlign
	}
	v := &View{Rows: int(rows), Capacity: int(capacity), Generation: le.Uint64(b[16:]), image: b[:size]}
	v.index = make(map[ID]column, count)
	for i := range int(count) {
		e := b[headerSize+entrySize*i:]
		c := column{ID(le.Uint32(e)), Type(le.Uint32(e[4:])), int(le.Uint32(e[8:]))}
		if !c.typ.valid() {
			continue
		}
		if c.offset%Align != 0 {
			return nil, ErrAlign
		}
		need := capacity / 8
		if c.typ != Bits {
			need = capacity * uint64(c.typ.Stride())
		}
		if uint64(c.offset)+need > size || uint64(c.offset) < headerSize+entrySize*count {
			return nil, ErrBounds
		}
		v.index[c.id] = c
	}
	return v, nil
}

// Refresh reads again what changes without a new layout: the number of rows and
// the generation.
func (v *View) Refresh() {
	v.Rows = min(int(binary.LittleEndian.Uint32(v.image[8:])), v.Capacity)
	v.Generation = binary.LittleEndian.Uint64(v.image[16:])
}

// I64 returns the column's rows, nil if there is no such column of that type.
func (v *View) I64(id ID) []int64 { return slice[int64](v.image, v.index[id], I64, v.Rows) }

// U64 is like I64.
func (v *View) U64(id ID) []uint64 { return slice[uint64](v.image, v.index[id], U64, v.Rows) }

// I32 is like I64.
func (v *View) I32(id ID) []int32 { return slice[int32](v.image, v.index[id], I32, v.Rows) }

// U32 is like I64.
func (v *View) U32(id ID) []uint32 { return slice[uint32](v.image, v.index[id], U32, v.Rows) }

// U8 is like I64.
func (v *View) U8(id ID) []uint8 { return slice[uint8](v.image, v.index[id], U8, v.Rows) }

// Bits returns the words of a bitmap column, nil if there is none.
func (v *View) Bits(id ID) []uint64 {
	return slice[uint64](v.image, v.index[id], Bits, (v.Rows+63)/64)
}

// I64 returns the column's rows, nil if there is no such column of that type.
func (s *Snapshot) I64(id ID) []int64 { return slice[int64](s.image, s.col(id), I64, s.rows) }

// U64 is like I64.
func (s *Snapshot) U64(id ID) []uint64 { return slice[uint64](s.image, s.col(id), U64, s.rows) }

// I32 is like I64.
func (s *Snapshot) I32(id ID) []int32 { return slice[int32](s.image, s.col(id), I32, s.rows) }

// U32 is like I64.
func (s *Snapshot) U32(id ID) []uint32 { return slice[uint32](s.image, s.col(id), U32, s.rows) }

// U8 is like I64.
func (s *Snapshot) U8(id ID) []uint8 { return slice[uint8](s.image, s.col(id), U8, s.rows) }

// Bits returns the words of a bitmap column, nil if there is none.
func (s *Snapshot) Bits(id ID) []uint64 {
	return slice[uint64](s.image, s.col(id), Bits, (s.rows+63)/64)
}

func (s *Snapshot) col(id ID) column {
	if at, ok := s.find(id); ok {
		return s.columns[at]
	}
	return column{}
}

func slice[T any](image []byte, c column, want Type, n int) []T {
	if c.typ != want || n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&image[c.offset])), n)
}
