package certificates

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

const maxTrustBundle = 1 * 1024 * 1024

func clusterTrustBundles() apis.Resource {
	rules := apis.TypedRules[*certificatesv1.ClusterTrustBundle]{
		Validate: func(_ context.Context, b *certificatesv1.ClusterTrustBundle) field.ErrorList {
			return validateBundle(b)
		},
		ValidateUpdate: func(_ context.Context, b, old *certificatesv1.ClusterTrustBundle) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&b.ObjectMeta, &old.ObjectMeta, metadata)
			errs = append(errs, validateBundle(b)...)
			return append(errs, validation.ValidateImmutableField(b.Spec.SignerName, old.Spec.SignerName, specPath.Child("signerName"))...)
		},
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: certificatesv1.SchemeGroupVersion.WithKind("ClusterTrustBundle"), Plural: "clustertrustbundles", Singular: "clustertrustbundle",
		New:     func() runtime.Object { return &certificatesv1.ClusterTrustBundle{} },
		NewList: func() runtime.Object { return &certificatesv1.ClusterTrustBundleList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("SignerName", "The signer the bundle belongs to.", func(b *certificatesv1.ClusterTrustBundle) string { return apis.OrNone(b.Spec.SignerName) }),
		},
		Fields: func(obj runtime.Object) fields.Set {
			return fields.Set{"spec.signerName": obj.(*certificatesv1.ClusterTrustBundle).Spec.SignerName}
		},
	}
}

// validateBundle also ties the name of a bundle to its signer.
func validateBundle(b *certificatesv1.ClusterTrustBundle) field.ErrorList {
	errs := apis.ValidateMeta(&b.ObjectMeta, false, core.TrustBundleName(b.Spec.SignerName), metadata)
	if b.Spec.SignerName != "" {
		errs = append(errs, core.ValidateSignerName(b.Spec.SignerName, specPath.Child("signerName"))...)
	}
	if len(b.Spec.TrustBundle) > maxTrustBundle {
		errs = append(errs, field.TooLong(specPath.Child("trustBundle"), "<value omitted>", maxTrustBundle))
	} else if err := checkCertificates([]byte(b.Spec.TrustBundle)); err != nil {
		errs = append(errs, field.Invalid(specPath.Child("trustBundle"), "<value omitted>", err.Error()))
	}
	return errs
}

func checkCertificates(data []byte) error {
	blocks := 0
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("only CERTIFICATE PEM blocks are allowed, found %q", block.Type)
		}
		if len(block.Headers) > 0 {
			return errors.New("no PEM block headers are permitted")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return err
		}
		blocks, data = blocks+1, rest
	}
	if blocks == 0 {
		return errors.New("at least one trust anchor must be provided")
	}
	return nil
}
