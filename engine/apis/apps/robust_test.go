package apps

import (
	"testing"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func TestRulesAreRobust(t *testing.T) { apistest.Robust(t, Resources()) }
