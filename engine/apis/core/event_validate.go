package core

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericrequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/pintle-io/pintle/engine/apis"
)

const (
	maxReporter = 128
	maxNote     = 1024
)

// writtenAsNew reports a write through events.k8s.io, which asks for more.
func writtenAsNew(ctx context.Context) bool {
	info, ok := genericrequest.RequestInfoFrom(ctx)
	return ok && info != nil && info.APIGroup == "events.k8s.io"
}

func validateEventCreate(ctx context.Context, e *corev1.Event) field.ErrorList {
	isNew := writtenAsNew(ctx)
	errs := validateAnyEvent(e, isNew)
	if !isNew {
		return errs
	}
	errs = append(errs, apis.ValidateMeta(&e.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)...)
	errs = append(errs, validateSeries(e)...)
	if e.EventTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("eventTime"), ""))
	}
	if e.Type != corev1.EventTypeNormal && e.Type != corev1.EventTypeWarning {
		errs = append(errs, field.Invalid(field.NewPath("type"), "", "has invalid value: "+e.Type))
	}
	unset := func(name string, set bool) {
		if set {
			errs = append(errs, field.Invalid(field.NewPath(name), "", "needs to be unset"))
		}
	}
	unset("firstTimestamp", !e.FirstTimestamp.IsZero())
	unset("lastTimestamp", !e.LastTimestamp.IsZero())
	unset("count", e.Count != 0)
	unset("source", e.Source.Component != "" || e.Source.Host != "")
	return errs
}

func validateEventUpdate(ctx context.Context, e, old *corev1.Event) field.ErrorList {
	isNew := writtenAsNew(ctx)
	errs := validateAnyEvent(e, isNew)
	if !isNew {
		return errs
	}
	errs = append(errs, apis.ValidateMetaUpdate(&e.ObjectMeta, &old.ObjectMeta, metadata)...)
	if e.Series != nil && !equality.Semantic.DeepEqual(e.Series, old.Series) {
		errs = append(errs, validateSeries(e)...)
	}
	for _, f := range []struct {
		name     string
		now, was any
	}{
		{"involvedObject", e.InvolvedObject, old.InvolvedObject},
		{"reason", e.Reason, old.Reason},
		{"message", e.Message, old.Message},
		{"source", e.Source, old.Source},
		{"firstTimestamp", e.FirstTimestamp, old.FirstTimestamp},
		{"lastTimestamp", e.LastTimestamp, old.LastTimestamp},
		{"count", e.Count, old.Count},
		{"eventTime", e.EventTime, old.EventTime},
		{"action", e.Action, old.Action},
		{"related", e.Related, old.Related},
		{"reportingController", e.ReportingController, old.ReportingController},
		{"reportingInstance", e.ReportingInstance, old.ReportingInstance},
		{"type", e.Type, old.Type},
	} {
		errs = append(errs, validation.ValidateImmutableField(f.now, f.was, field.NewPath(f.name))...)
	}
	return errs
}

func validateSeries(e *corev1.Event) field.ErrorList {
	if e.Series == nil {
		return nil
	}
	at := field.NewPath("series")
	var errs field.ErrorList
	if e.Series.Count < 2 {
		errs = append(errs, field.Invalid(at.Child("count"), "", "should be at least 2"))
	}
	if e.Series.LastObservedTime.IsZero() {
		errs = append(errs, field.Required(at.Child("lastObservedTime"), ""))
	}
	return errs
}

// validateAnyEvent holds for both versions: an event is about an object of its
// own namespace, and one that states its time also states who saw what.
func validateAnyEvent(e *corev1.Event, isNew bool) field.ErrorList {
	var errs field.ErrorList
	about, at := e.InvolvedObject.Namespace, field.NewPath("involvedObject", "namespace")
	homes := []string{metav1.NamespaceNone, metav1.NamespaceDefault}
	if !e.EventTime.IsZero() {
		homes = []string{metav1.NamespaceDefault, metav1.NamespaceSystem}
	}
	switch {
	case about == "" && !slices.Contains(homes, e.Namespace), about != "" && e.EventTime.IsZero() && e.Namespace != about:
		errs = append(errs, field.Invalid(at, about, "does not match event.namespace"))
	}
	if !e.EventTime.IsZero() {
		errs = append(errs, validateReporter(e, isNew)...)
	}
	return append(errs, ValidateDNS1123Subdomain(e.Namespace, field.NewPath("namespace"))...)
}

func validateReporter(e *corev1.Event, isNew bool) field.ErrorList {
	controllerAt := field.NewPath("reportingComponent")
	if isNew {
		controllerAt = field.NewPath("reportingController")
	}
	var errs field.ErrorList
	if e.ReportingController == "" {
		errs = append(errs, field.Required(controllerAt, ""))
	}
	errs = append(errs, invalidEach(controllerAt, e.ReportingController, utilvalidation.IsQualifiedName(e.ReportingController))...)
	for _, f := range []struct {
		name, value string
	}{{"reportingInstance", e.ReportingInstance}, {"action", e.Action}, {"reason", e.Reason}} {
		if f.value == "" {
			errs = append(errs, field.Required(field.NewPath(f.name), ""))
		}
		if len(f.value) > maxReporter {
			errs = append(errs, field.Invalid(field.NewPath(f.name), "", "can have at most 128 characters"))
		}
	}
	if len(e.Message) > maxNote {
		errs = append(errs, field.Invalid(field.NewPath("message"), "", "can have at most 1024 characters"))
	}
	return errs
}
