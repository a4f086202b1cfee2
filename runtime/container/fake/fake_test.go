package fake_test

import (
	"testing"

	"github.com/pintle-io/pintle/runtime/container/containertest"
	"github.com/pintle-io/pintle/runtime/container/fake"
)

func TestContract(t *testing.T) {
	containertest.Run(t, func(*testing.T) containertest.Harness {
		return containertest.Harness{Runtime: fake.New("img"), Image: "img"}
	})
}
