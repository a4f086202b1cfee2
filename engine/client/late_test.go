package client_test

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/registry"
	"github.com/pintle-io/pintle/store"
)

// Informers of late kinds fill when they are let, and nobody waits for them before.
func TestLateInformers(t *testing.T) {
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	reg, err := registry.New(registry.Config{Table: served.Table(), Scheme: served.Scheme(), Codecs: served.Codecs(), Store: st})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{
		Storages: reg, Table: served.Table(), Scheme: served.Scheme(), Late: []schema.GroupResource{{Resource: "pods"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	factory := c.Informers()
	pods, nodes := factory.Core().V1().Pods().Informer(), factory.Core().V1().Nodes().Informer()
	ctx, cancel := context.WithCancel(t.Context())
	defer factory.Shutdown()
	defer cancel()
	factory.StartWithContext(ctx)
	c.WaitForEarly(ctx)
	if pods.HasSynced() || !nodes.HasSynced() {
		t.Errorf("pods filled: %v, nodes filled: %v; want only nodes", pods.HasSynced(), nodes.HasSynced())
	}
	c.FillLate(ctx)
	if !pods.HasSynced() {
		t.Error("pods have not filled")
	}
}
