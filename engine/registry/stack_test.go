package registry

import (
	"runtime/metrics"
	"sync"
	"testing"
)

// TestGrowStackGrows guards against a compiler that sees through the function.
func TestGrowStackGrows(t *testing.T) {
	const goroutines = 400
	stacks := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := stacks()
	var grown, ended sync.WaitGroup
	end := make(chan struct{})
	grown.Add(goroutines)
	for range goroutines {
		ended.Go(func() {
			GrowStack()
			grown.Done()
			<-end
		})
	}
	grown.Wait()
	got := stacks() - before
	close(end)
	ended.Wait()
	if want := uint64(goroutines * stackWanted * 3 / 4); got < want {
		t.Errorf("%d goroutines took %d bytes of stack, want at least %d", goroutines, got, want)
	}
}
