// Package abi owns the byte layouts that the engine and a scheduling strategy
// share: the columnar node snapshot, the batch of pods to place, and the result
// per pod. It is compiled into the engine, into the native strategy and into
// every Go guest, so it imports nothing of ours and little of anybody's. It never
// decides anything. Nothing here is safe for concurrent use.
//
// All numbers are little-endian. Major version 1 is frozen: later minor versions
// only add column kinds and batch operations, and a reader ignores a column id it
// does not know. An operation it does not know it must refuse, because skipping
// one would drop a constraint.
package abi

import "errors"

// Version is major<<16 | minor of the layouts in this package.
const (
	VersionMajor = 1
	VersionMinor = 0
	Version      = VersionMajor<<16 | VersionMinor
)

const (
	snapshotMagic = 0x314e4c50 // "PLN1"
	batchMagic    = 0x31424c50 // "PLB1"

	headerSize = 64
	entrySize  = 16
	// Align is the alignment of every column; row capacity is a multiple of it,
	// so that a bitmap column is whole words.
	Align = 64
)

// Errors of the decoders. Guests and hosts treat each as fatal for the call.
var (
	ErrMagic   = errors.New("abi: not a snapshot or batch")
	ErrVersion = errors.New("abi: unknown major version")
	ErrBounds  = errors.New("abi: offset or size out of bounds")
	ErrAlign   = errors.New("abi: column is not aligned")
	ErrOp      = errors.New("abi: unknown operation")
)

// Type is the element type of a column.
type Type uint32

// Column element types. Bits has stride 0: row r is bit r&63 of word r>>6.
const (
	I64 Type = 1 + iota
	U64
	I32
	U32
	U8
	Bits
)

// Stride is the size of one element in bytes, 0 for Bits and unknown types.
func (t Type) Stride() int {
	switch t {
	case I64, U64:
		return 8
	case I32, U32:
		return 4
	case U8:
		return 1
	}
	return 0
}

func (t Type) valid() bool { return t >= I64 && t <= Bits }

// bytes is the size of a column of capacity rows (a multiple of Align).
func (t Type) bytes(capacity int) int {
	if t == Bits {
		return capacity / 8
	}
	return capacity * t.Stride()
}

// ID names a column: Kind<<16 | index.
type ID uint32

// Kind is the meaning of a column.
type Kind uint16

// Column kinds, with their element type and what the index counts.
const (
	// Alloc (I64, per resource slot): allocatable amount.
	Alloc Kind = 1 + iota
	// Free (I64, per resource slot): allocatable minus requested; may be negative.
	Free
	// ScoreFree (I64, slot 0 and 1): allocatable minus requests, where pods that
	// ask nothing count with the default request. Used for scoring only.
	ScoreFree
	// Flags (U8, index 0): row flags, see RowPresent.
	Flags
	// Taint (U64, per 64 taints): the node's NoSchedule and NoExecute taints, one
	// bit per distinct taint of the cluster.
	Taint
	// SoftTaint (U64, per 64 taints): the same for PreferNoSchedule.
	SoftTaint
	// Domain (U32, per topology key): dense domain number from 1; 0 means that
	// the node has no such label.
	Domain
	// Count (I32, per term): pods on the node that match the term, or that own it,
	// or the sum of their weights; the batch says how it is to be read.
	Count
	// Mask (Bits, per selector): nodes matching a node selector or affinity.
	Mask
	// Port (Bits, per host port): nodes on which this host port is taken.
	Port
	// Image (U8, per image set): image locality score, 0 to 100.
	Image
)

// Column returns the id of the column of this kind at index.
func (k Kind) Column(index int) ID { return ID(uint32(k)<<16 | uint32(uint16(index))) }

// Kind returns the kind part of the id.
func (id ID) Kind() Kind { return Kind(id >> 16) }

// Index returns the index part of the id.
func (id ID) Index() int { return int(id & 0xffff) }

// Resource slots. Extended resources follow from SlotExtended on.
const (
	SlotCPU      = iota // millicores
	SlotMemory          // bytes
	SlotStorage         // ephemeral storage, bytes
	SlotPods            // number of pods
	SlotExtended        // first extended resource
)

// Row flags.
const (
	// RowPresent is set when the row holds a node; other rows are free slots.
	RowPresent = 1 << iota
	// RowUnschedulable is set for a cordoned node.
	RowUnschedulable
)
