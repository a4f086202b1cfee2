// Package sdk is what a strategy written in Go builds on: the exports that every
// module has (alloc, strategy_abi_v1), guest memory as slices, and logging. It is
// compiled into guests only; a guest is single-threaded.
package sdk
