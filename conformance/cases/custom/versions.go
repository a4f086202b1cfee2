package custom

import (
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/pintle-io/pintle/conformance/suite"
	"github.com/pintle-io/pintle/conformance/tlsserver"
)

//go:embed versions.yaml
var versionsYAML string

const roadsName = "roads.versions.conformance.example"

func versions() suite.Case {
	return suite.Case{
		Name:     "custom/versions",
		Promise:  "a webhook converts between versions in reads, lists, watches and writes, what it does wrong is told, and storage moves to another version",
		Manifest: versionsYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			converter := &roadConverter{}
			server, err := tlsserver.Start(converter)
			if err != nil {
				return err
			}
			defer server.Close()
			manifest := strings.NewReplacer("$URL", server.URL, "$CA", base64.StdEncoding.EncodeToString(server.CA)).Replace(versionsYAML)
			remove, err := define(ctx, e, manifest)
			defer remove()
			if err != nil {
				return err
			}
			if err := convertedReads(ctx, e); err != nil {
				return err
			}
			if err := failedConversions(ctx, e, converter); err != nil {
				return err
			}
			if err := movedStorage(ctx, e); err != nil {
				return err
			}
			server.Close()
			return noConverter(ctx, e)
		},
	}
}

func roads(e *suite.Env, version string) dynamic.ResourceInterface {
	return e.Dynamic.Resource(schema.GroupVersionResource{Group: "versions.conformance.example", Version: version, Resource: "roads"}).Namespace(e.Namespace)
}

func convertedReads(ctx context.Context, e *suite.Env) error {
	obj, err := object("apiVersion: versions.conformance.example/v2\nkind: Road\nmetadata: {name: r}\nspec: {metres: 5000}")
	if err != nil {
		return err
	}
	made, err := roads(e, "v2").Create(ctx, obj, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	old, err := roads(e, "v1").Get(ctx, "r", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if field(old, "spec", "km") != int64(5) || old.GetResourceVersion() != made.GetResourceVersion() {
		return fmt.Errorf("read in the other version: %v", old.Object)
	}
	w, err := roads(e, "v2").Watch(ctx, metav1.ListOptions{ResourceVersion: made.GetResourceVersion()})
	if err != nil {
		return err
	}
	defer w.Stop()
	if err := unstructured.SetNestedField(old.Object, int64(7), "spec", "km"); err != nil {
		return err
	}
	if _, err := roads(e, "v1").Update(ctx, old, metav1.UpdateOptions{}); err != nil {
		return err
	}
	select {
	case ev := <-w.ResultChan():
		seen, ok := ev.Object.(*unstructured.Unstructured)
		if !ok || field(seen, "spec", "metres") != int64(7000) {
			return fmt.Errorf("watched in the other version: %s %v", ev.Type, ev.Object)
		}
	case <-ctx.Done():
		return fmt.Errorf("nothing came through the watch: %w", ctx.Err())
	}
	list, err := roads(e, "v2").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(list.Items) != 1 || field(&list.Items[0], "spec", "metres") != int64(7000) || list.Items[0].GetAPIVersion() != "versions.conformance.example/v2" {
		return fmt.Errorf("listed in the other version: %v", list.Items)
	}
	_, err = e.Kubectl(ctx, "patch", "roads.v2.versions.conformance.example", "r", "--type=merge", "-p", `{"spec":{"metres":9000}}`)
	return err
}

// failedConversions compares what is said of a webhook that breaks the rules.
func failedConversions(ctx context.Context, e *suite.Env, converter *roadConverter) error {
	const prefix = "conversion webhook for versions.conformance.example/v1, Kind=Road failed: "
	var wrong []error
	for _, c := range []struct{ fault, want string }{
		{"refuse", prefix + "the bridge is out"},
		{"uid", "conversion webhook for versions.conformance.example/v1, Kind=Road failed: expected response.uid="},
		{"count", "conversion webhook for versions.conformance.example/v1, Kind=Road returned 0 objects, expected 1"},
		{"name", "conversion webhook for versions.conformance.example/v1, Kind=Road returned invalid object: must have the same name: r != other"},
		{"uidchange", "conversion webhook for versions.conformance.example/v1, Kind=Road returned invalid object: must have the same UID: "},
		{"version", "conversion webhook for versions.conformance.example/v1, Kind=Road returned invalid object at index 0: invalid groupVersion (expected versions.conformance.example/v2, received v1)"},
		{"garbage", "conversion webhook for versions.conformance.example/v1, Kind=Road failed: "},
		{"500", "conversion webhook for versions.conformance.example/v1, Kind=Road failed: an error on the server (\"broken\") has prevented the request from succeeding"},
	} {
		converter.fault.Store(c.fault)
		_, err := roads(e, "v2").Get(ctx, "r", metav1.GetOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			wrong = append(wrong, fmt.Errorf("conversion fault %q:\n got %v\nwant %s...", c.fault, err, c.want))
		}
	}
	converter.fault.Store("")
	_, err := roads(e, "v2").Get(ctx, "r", metav1.GetOptions{})
	return errors.Join(append(wrong, err)...)
}

// movedStorage makes v2 the stored version, writes everything again and drops v1
// from the stored versions.
func movedStorage(ctx context.Context, e *suite.Env) error {
	err := change(ctx, e, roadsName, func(crd *unstructured.Unstructured) error {
		all, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		if err != nil {
			return err
		}
		all[0].(map[string]any)["storage"], all[1].(map[string]any)["storage"] = false, true
		return unstructured.SetNestedSlice(crd.Object, all, "spec", "versions")
	})
	if err != nil {
		return err
	}
	stored := func(want ...string) error {
		crd, err := e.Dynamic.Resource(definitions).Get(ctx, roadsName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		got, _, err := unstructured.NestedStringSlice(crd.Object, "status", "storedVersions")
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("stored versions:\n%s", diff)
		}
		return nil
	}
	if err := stored("v1", "v2"); err != nil {
		return err
	}
	err = change(ctx, e, roadsName, func(crd *unstructured.Unstructured) error {
		all, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		if err != nil {
			return err
		}
		return unstructured.SetNestedSlice(crd.Object, all[1:], "spec", "versions")
	})
	if err := wantError("a version that is stored goes", err, `CustomResourceDefinition.apiextensions.k8s.io "`+roadsName+`" is invalid: `+
		`status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until `+
		`a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions`); err != nil {
		return err
	}
	list, err := roads(e, "v2").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		if _, err := roads(e, "v2").Update(ctx, &list.Items[i], metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	if _, err := e.Kubectl(ctx, "patch", "crd", roadsName, "--subresource=status", "--type=merge", "-p", `{"status":{"storedVersions":["v2"]}}`); err != nil {
		return err
	}
	if err := stored("v2"); err != nil {
		return err
	}
	got, err := roads(e, "v1").Get(ctx, "r", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if field(got, "spec", "km") != int64(9) {
		return fmt.Errorf("after moving the storage: %v", got.Object)
	}
	return nil
}

// noConverter: versions that need no conversion go on, others tell why not.
func noConverter(ctx context.Context, e *suite.Env) error {
	if _, err := roads(e, "v2").Get(ctx, "r", metav1.GetOptions{}); err != nil {
		return fmt.Errorf("the stored version without a converter: %w", err)
	}
	return e.Eventually(ctx, 10*time.Second, "an error that names the missing converter", func(ctx context.Context) (bool, string, error) {
		_, err := roads(e, "v1").Get(ctx, "r", metav1.GetOptions{})
		text := fmt.Sprint(err)
		return strings.Contains(text, "conversion webhook for versions.conformance.example/v2, Kind=Road failed: Post \"https://127.0.0.1:") &&
			strings.HasSuffix(text, "connect: connection refused"), text, nil
	})
}
