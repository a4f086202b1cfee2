package abi

import (
	"encoding/binary"
	"unsafe"
)

// Reason is why a row was refused. A row counts once for the first filter it
// fails, but for resources, where each short resource counts.
type Reason int

// Reasons, in the order in which filters apply.
const (
	ReasonUnschedulable Reason = iota
	ReasonNodeName
	ReasonTaint
	ReasonAffinity // node selector or node affinity
	ReasonPorts
	ReasonPods // too many pods
	ReasonCPU
	ReasonMemory
	ReasonResource // ephemeral storage or an extended resource
	ReasonSpread
	ReasonPodAffinity // the pod's own affinity or anti-affinity
	ReasonExisting    // anti-affinity of existing pods

	Reasons
)

var reasonNames = [Reasons]string{
	"Unschedulable", "NodeName", "Taint", "NodeAffinity", "Ports", "TooManyPods", "CPU", "Memory",
	"Resource", "TopologySpread", "PodAffinity", "ExistingAntiAffinity",
}

func (r Reason) String() string {
	if r < 0 || r >= Reasons {
		return "Unknown"
	}
	return reasonNames[r]
}

// ResultSize is the size of one encoded Result.
const ResultSize = 32

// Result is the answer for one pod: the chosen row, or NoNode and how many rows
// each reason refused. Counts stop at 65535.
type Result struct {
	Node   int32
	Score  int32
	Counts [Reasons]uint16
}

// Results reads n results in place; nil if b is too short or not aligned.
func Results(b []byte, n int) []Result {
	if n <= 0 || len(b) < n*ResultSize || uintptr(unsafe.Pointer(&b[0]))%4 != 0 {
		return nil
	}
	return unsafe.Slice((*Result)(unsafe.Pointer(&b[0])), n)
}

// Append encodes the result.
func (r *Result) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Node))
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Score))
	for _, c := range r.Counts {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

// Answer is what a placer returns for a whole batch.
type Answer struct {
	// Results has one entry per pod, in batch order; valid until the next call.
	Results []Result
	// Fuel is what the strategy used; 0 when it runs natively.
	Fuel uint64
}
