package strategy

import (
	"encoding/json"
)

// member is one strategy that can be asked. It is not changed: a strategy that is
// set again is another member.
type member struct {
	name   string
	caller Caller
	config json.RawMessage
	hold   bool
	health *Health
}

// Member is a strategy to be asked by the name of an object in the API.
type Member struct {
	Type, Name string
	Caller     Caller
	Config     json.RawMessage
	// Hold says that nothing is to be done about what the strategy fails at; else the
	// built-in one decides.
	Hold bool
	// Health is kept for it; nil selects a new one.
	Health *Health
}
