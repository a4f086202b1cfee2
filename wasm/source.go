// Package wasm carries the Go source that strategies are written against, for the
// programs that `pintle strategy new` begins: they then build offline, against the
// contract of the very server that wrote them. It owns no code of its own.
package wasm

import "embed"

// Source is the contract, the SDK and the built-in strategies to build on, with their
// tests, by path below this folder.
//
//go:embed abi/*.go abi/*/*.go sdk/*.go sdk/*/*.go strategies/scheduling/*.go strategies/autoscaling/*.go strategies/rollout/*.go
var Source embed.FS
