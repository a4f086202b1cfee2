package abi

import (
	"encoding/binary"
	"slices"
	"unsafe"
)

type column struct {
	id     ID
	typ    Type
	offset int
}

// Snapshot is the engine's authoritative copy of the node columns, kept in the
// very layout that guests see, so handing it over is copying bytes. Writers
// change the slices that the column getters return and then say which rows they
// changed with Touch; a Cursor remembers how far one copy has followed.
//
// Slices from the getters are invalid after Ensure, Drop or Resize.
type Snapshot struct {
	image    []byte
	rows     int
	capacity int
	columns  []column // sorted by id
	layout   uint64   // changes whenever the image was laid out anew
	gen      uint64
	rowGen   []uint64
	colGen   map[ID]uint64
}

// NewSnapshot returns a snapshot without columns for the given number of rows.
func NewSnapshot(rows int) *Snapshot {
	s := &Snapshot{colGen: map[ID]uint64{}}
	s.rows = rows
	s.capacity = roundUp(max(rows, 1), Align)
	s.rowGen = make([]uint64, s.capacity)
	s.relayout(nil, 0)
	return s
}

// Rows is the number of rows in use, present or not.
func (s *Snapshot) Rows() int { return s.rows }

// Layout is a number that changes when columns or capacity change.
func (s *Snapshot) Layout() uint64 { return s.layout }

// Generation grows with every change.
func (s *Snapshot) Generation() uint64 { return s.gen }

// Image is the whole snapshot in wire layout. Callers must not change it.
func (s *Snapshot) Image() []byte { return s.image }

// Has reports whether the column exists.
func (s *Snapshot) Has(id ID) bool { _, ok := s.find(id); return ok }

// Ensure adds a zeroed column unless it exists.
func (s *Snapshot) Ensure(id ID, t Type) {
	at, ok := s.find(id)
	if ok {
		return
	}
	old := slices.Clone(s.columns)
	s.columns = slices.Insert(s.columns, at, column{id: id, typ: t})
	s.relayout(old, s.capacity)
}

// Drop removes columns; unknown ids are ignored.
func (s *Snapshot) Drop(ids ...ID) {
	old := slices.Clone(s.columns)
	s.columns = slices.DeleteFunc(s.columns, func(c column) bool { return slices.Contains(ids, c.id) })
	if len(s.columns) != len(old) {
		s.relayout(old, s.capacity)
	}
}

// Resize sets the number of rows. Capacity grows by half and never shrinks.
func (s *Snapshot) Resize(rows int) {
	oldCap := s.capacity
	s.rows = rows
	if rows > s.capacity {
		s.capacity = roundUp(max(rows, s.capacity+s.capacity/2), Align)
		s.rowGen = append(s.rowGen, make([]uint64, s.capacity-oldCap)...)
		s.relayout(slices.Clone(s.columns), oldCap)
	}
	binary.LittleEndian.PutUint32(s.image[8:], uint32(rows))
	s.gen++
}

// Touch records that the row changed in some column.
func (s *Snapshot) Touch(row int) {
	s.gen++
	s.rowGen[row] = s.gen
}

// TouchColumn records that the whole column changed.
func (s *Snapshot) TouchColumn(id ID) {
	s.gen++
	s.colGen[id] = s.gen
}

// relayout builds a new image and carries over the columns in old.
func (s *Snapshot) relayout(old []column, oldCap int) {
	offset := roundUp(headerSize+entrySize*len(s.columns), Align)
	for i := range s.columns {
		s.columns[i].offset = offset
		offset += roundUp(s.columns[i].typ.bytes(s.capacity), Align)
	}
	image := NewImage(offset)
	le := binary.LittleEndian
	le.PutUint32(image[0:], snapshotMagic)
	le.PutUint32(image[4:], Version)
	le.PutUint32(image[8:], uint32(s.rows))
	le.PutUint32(image[12:], uint32(s.capacity))
	le.PutUint32(image[24:], uint32(len(s.columns)))
	le.PutUint32(image[28:], uint32(len(image)))
	for i, c := range s.columns {
		e := image[headerSize+entrySize*i:]
		le.PutUint32(e[0:], uint32(c.id))
		le.PutUint32(e[4:], uint32(c.typ))
		le.PutUint32(e[8:], uint32(c.offset))
		le.PutUint32(e[12:], uint32(c.typ.Stride()))
	}
	for _, o := range old {
		if at, ok := s.find(o.id); ok {
			copy(image[s.columns[at].offset:], s.image[o.offset:o.offset+o.typ.bytes(oldCap)])
		}
	}
	s.image = image
	s.layout++
	s.gen++
}

func (s *Snapshot) find(id ID) (int, bool) {
	return slices.BinarySearchFunc(s.columns, id, func(c column, id ID) int { return int(c.id) - int(id) })
}

// Cursor is the point up to which one copy of the snapshot has been brought.
// The zero value means that there is no copy yet.
type Cursor struct {
	of          *Snapshot
	layout, gen uint64
	dirty       []int
}

// Current reports whether the copy has the snapshot's present layout.
func (c *Cursor) Current(s *Snapshot) bool { return c.of == s && c.layout == s.layout }

// Dirty marks a row that the holder of the copy changed itself, so that the next
// Sync restores it whatever the engine made of the answer.
func (c *Cursor) Dirty(row int) { c.dirty = append(c.dirty, row) }

// Sync brings dst, a copy of the image, up to date. dst must have the image's
// size; the first call, and each after a layout change, copies everything.
func (s *Snapshot) Sync(dst []byte, c *Cursor) {
	binary.LittleEndian.PutUint64(s.image[16:], s.gen)
	if !c.Current(s) {
		copy(dst, s.image)
		*c = Cursor{of: s, layout: s.layout, gen: s.gen, dirty: c.dirty[:0]}
		return
	}
	copy(dst[:headerSize], s.image[:headerSize])
	for _, col := range s.columns {
		if s.colGen[col.id] > c.gen {
			end := col.offset + col.typ.bytes(s.capacity)
			copy(dst[col.offset:end], s.image[col.offset:end])
		}
	}
	for row := range s.rows {
		if s.rowGen[row] > c.gen {
			s.copyRow(dst, row)
		}
	}
	for _, row := range c.dirty {
		if row >= 0 && row < s.rows {
			s.copyRow(dst, row)
		}
	}
	c.gen, c.dirty = s.gen, c.dirty[:0]
}

func (s *Snapshot) copyRow(dst []byte, row int) {
	for _, col := range s.columns {
		at, size := col.offset+row*col.typ.Stride(), col.typ.Stride()
		if col.typ == Bits {
			at, size = col.offset+row>>6*8, 8
		}
		copy(dst[at:at+size], s.image[at:at+size])
	}
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// NewImage returns n zeroed bytes for a copy of a snapshot; the first is 64-byte
// aligned.
func NewImage(n int) []byte {
	b := make([]byte, n+Align)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (Align - 1)
	return b[skip : skip+n : skip+n]
}
