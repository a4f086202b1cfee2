package policies

import (
	"context"
	"log/slog"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What is stored is in force without a Syncer; what cannot be used is passed over.
func TestLoadStored(t *testing.T) {
	f := newEngine(t, nil, nil)
	stored := map[schema.GroupResource][]*unstructured.Unstructured{
		templatesR.GroupResource():           {fromYAML(t, template("Bad", `violation[`)), fromYAML(t, template("All", denyAll))},
		constraintsOf("All").GroupResource(): {fromYAML(t, constraint("All", `{}`))},
	}
	read := func(_ context.Context, gr schema.GroupResource) ([]*unstructured.Unstructured, error) {
		return stored[gr], nil
	}
	if err := f.LoadStored(t.Context(), read, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if f.validate(deployment("ns", nil), deploymentKind) == nil {
		t.Error("the stored constraint is not in force")
	}
}
