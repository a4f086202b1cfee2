package policies

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/pintle-io/pintle/policies/definition"
)

// newAPI is an API that establishes definitions at once.
func newAPI() *fake.FakeDynamicClient {
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		definitions: "CustomResourceDefinitionList", templatesR: "ConstraintTemplateList", constraintsOf("All"): "AllList", constraintsOf("Bad"): "BadList",
	})
	client.PrependReactor("create", "customresourcedefinitions", func(a clienttesting.Action) (bool, runtime.Object, error) {
		crd := a.(clienttesting.CreateAction).GetObject().(*unstructured.Unstructured)
		return false, nil, unstructured.SetNestedSlice(crd.Object, []any{map[string]any{"type": "Established", "status": "True"}}, "status", "conditions")
	})
	return client
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 2*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return f(), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func create(t *testing.T, client dynamic.Interface, gvr schema.GroupVersionResource, text string) {
	t.Helper()
	if _, err := client.Resource(gvr).Create(t.Context(), fromYAML(t, text), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestSyncerFollowsTheAPI(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client, f := newAPI(), newEngine(t, nil, nil)
	syncer := NewSyncer(f.Engine, client, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- syncer.Run(ctx) }()
	<-syncer.Synced()

	denied := func() bool { return f.validate(deployment("ns", nil), deploymentKind) != nil }
	create(t, client, templatesR, template("All", denyAll))
	eventually(t, "the kind of the constraints is defined", func() bool {
		_, err := client.Resource(definitions).Get(ctx, "all."+ConstraintGroup, metav1.GetOptions{})
		return err == nil
	})
	create(t, client, constraintsOf("All"), constraint("All", `{}`))
	eventually(t, "the constraint is in force", denied)
	eventually(t, "the constraint says that it is enforced", func() bool {
		obj, err := client.Resource(constraintsOf("All")).Get(ctx, "c", metav1.GetOptions{})
		return err == nil && definition.Covers(obj.Object["status"], map[string]any{"byPod": []any{map[string]any{"enforced": true}}})
	})

	create(t, client, templatesR, template("Bad", `violation[`))
	eventually(t, "the bad template says what is wrong", func() bool {
		obj, err := client.Resource(templatesR).Get(ctx, "bad", metav1.GetOptions{})
		if err != nil {
			return false
		}
		text, _ := obj.MarshalJSON()
		return strings.Contains(string(text), "rego_parse_error")
	})

	if err := client.Resource(constraintsOf("All")).Delete(ctx, "c", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the constraint is out of force", func() bool { return !denied() })

	create(t, client, constraintsOf("All"), constraint("All", `{}`))
	eventually(t, "it is back", denied)
	if err := client.Resource(templatesR).Delete(ctx, "all", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the template took its constraints along", func() bool { return !denied() })
	eventually(t, "and their kind", func() bool {
		_, err := client.Resource(definitions).Get(ctx, "all."+ConstraintGroup, metav1.GetOptions{})
		return err != nil
	})

	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
