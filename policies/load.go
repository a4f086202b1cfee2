package policies

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Stored lists the stored objects of a kind, without the API.
type Stored func(ctx context.Context, gr schema.GroupResource) ([]*unstructured.Unstructured, error)

// LoadStored puts what is stored in force before the API serves anything, so that no
// write comes through between a start and the moment when a Syncer has caught up.
// What cannot be used is logged: it was not in force before either.
func (e *Engine) LoadStored(ctx context.Context, stored Stored, logger *slog.Logger) error {
	templates, err := stored(ctx, templatesR.GroupResource())
	if err != nil {
		return fmt.Errorf("policies: read the stored templates: %w", err)
	}
	for _, template := range templates {
		crd, err := e.SetTemplate(ctx, template)
		if err != nil {
			logger.Warn("policy template cannot be used", "name", template.GetName(), "err", err)
			continue
		}
		kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
		gr := schema.GroupResource{Group: ConstraintGroup, Resource: strings.ToLower(kind)}
		constraints, err := stored(ctx, gr)
		if err != nil {
			return fmt.Errorf("policies: read the stored constraints of %s: %w", kind, err)
		}
		for _, constraint := range constraints {
			if err := e.SetConstraint(ctx, constraint); err != nil {
				logger.Warn("policy is not in force", "kind", kind, "name", constraint.GetName(), "err", err)
			}
		}
	}
	return nil
}
