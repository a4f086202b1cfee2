package custom

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed columns.yaml
var columnsYAML string

func columns() suite.Case {
	return suite.Case{
		Name:     "custom/columns",
		Promise:  "columns print, short names, categories and explain work, and selectable fields select in lists and watches",
		Manifest: columnsYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			definition, trains, _ := strings.Cut(columnsYAML, "\n---\n")
			remove, err := define(ctx, e, definition)
			defer remove()
			if err != nil {
				return err
			}
			if _, err := e.KubectlIn(ctx, trains, "create", "-f", "-"); err != nil {
				return err
			}
			if err := printed(ctx, e); err != nil {
				return err
			}
			return selected(ctx, e)
		},
	}
}

func printed(ctx context.Context, e *suite.Env) error {
	for _, c := range []struct {
		args string
		want string // regular expression
	}{
		{"get trn", `^NAME +LINE +CARS +BUILT\na +north +3 +\d+y\nb +south +4 +\n$`},
		{"get train a -o wide", `^NAME +LINE +CARS +BUILT +STOPS\na +north +3 +\d+y +up\n$`},
		{"get rolling -o name", `^train.columns.conformance.example/a\ntrain.columns.conformance.example/b\n$`},
		{"get trains --field-selector spec.line=south -o name", `^train.columns.conformance.example/b\n$`},
		{"get trains --field-selector spec.cars=3,spec.line!=south -o name", `^train.columns.conformance.example/a\n$`},
		{"explain train.spec.line", `(?s)GROUP: +columns.conformance.example\nKIND: +Train\nVERSION: +v1\n.*FIELD: line <string>.*The line it serves.`},
		{"explain train", `(?s)DESCRIPTION:\n +A train runs on rails\..*FIELDS:\n  apiVersion\t<string>.*  spec\t<Object>\n +What the train is\.`},
	} {
		out, err := e.Kubectl(ctx, strings.Fields(c.args)...)
		if err != nil {
			return err
		}
		if !regexp.MustCompile(c.want).MatchString(out) {
			return fmt.Errorf("kubectl %s printed\n%s\nwhich does not match %s", c.args, out, c.want)
		}
	}
	_, err := e.Kubectl(ctx, "get", "trains", "--field-selector", "spec.built=x")
	if err == nil || !strings.Contains(err.Error(), `field label not supported: spec.built`) {
		return fmt.Errorf("a field that is not selectable: %v", err)
	}
	return nil
}

func selected(ctx context.Context, e *suite.Env) error {
	api := e.Dynamic.Resource(schema.GroupVersionResource{Group: "columns.conformance.example", Version: "v1", Resource: "trains"}).Namespace(e.Namespace)
	w, err := api.Watch(ctx, metav1.ListOptions{FieldSelector: "spec.line=east", ResourceVersion: "0"})
	if err != nil {
		return err
	}
	defer w.Stop()
	for _, line := range []string{"east", "west", "east"} {
		patch := fmt.Sprintf(`{"spec":{"line":%q}}`, line)
		if _, err := e.Kubectl(ctx, "patch", "train", "a", "--type=merge", "-p", patch); err != nil {
			return err
		}
	}
	var got []string
	for len(got) < 3 {
		select {
		case ev := <-w.ResultChan():
			got = append(got, string(ev.Type))
		case <-ctx.Done():
			return fmt.Errorf("saw only %v of the watch: %w", got, ctx.Err())
		}
	}
	if strings.Join(got, " ") != "ADDED DELETED ADDED" {
		return fmt.Errorf("a watch by field saw %v as an object came into, left and came back into the selection", got)
	}
	return nil
}
