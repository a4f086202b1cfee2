package operator

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// hooks default and validate bouquets.
type hooks struct{}

// Default implements admission.Defaulter.
func (hooks) Default(_ context.Context, b *Bouquet) error {
	if b.Spec.Colour == "" {
		b.Spec.Colour = "red"
	}
	return nil
}

// ValidateCreate implements admission.Validator.
func (hooks) ValidateCreate(_ context.Context, b *Bouquet) (admission.Warnings, error) {
	if b.Spec.Flowers%2 == 0 {
		return nil, errors.New("an even number of flowers brings bad luck")
	}
	return admission.Warnings{"needs water"}, nil
}

// ValidateUpdate implements admission.Validator.
func (h hooks) ValidateUpdate(ctx context.Context, old, b *Bouquet) (admission.Warnings, error) {
	if old.Spec.Colour != b.Spec.Colour {
		return nil, errors.New("flowers do not change their colour")
	}
	return h.ValidateCreate(ctx, b)
}

// ValidateDelete implements admission.Validator.
func (hooks) ValidateDelete(context.Context, *Bouquet) (admission.Warnings, error) { return nil, nil }
