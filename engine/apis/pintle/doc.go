// Package pintle holds the kinds of the group pintle.io: Strategy and
// StrategyBinding. They are custom resources; their definitions, with schema, rules
// and columns, are the YAML files beside this one, and the Go types here are what
// the engine reads of them.
//
// Values are plain data; the functions are safe for concurrent use.
package pintle
