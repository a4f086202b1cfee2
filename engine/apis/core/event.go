package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
)

func events() apis.Resource {
	rules := apis.TypedRules[*corev1.Event]{
		Validate:       validateEventCreate,
		ValidateUpdate: validateEventUpdate,
	}.Rules()
	rules.CreateOnUpdate = true
	return apis.Resource{
		GVK: kind("Event"), Plural: "events", Singular: "event", ShortNames: []string{"ev"}, Namespaced: true,
		New:     func() runtime.Object { return &corev1.Event{} },
		NewList: func() runtime.Object { return &corev1.EventList{} },
		Rules:   rules,
		Columns: eventColumns(),
		Fields:  eventFields,

		OtherVersions: []schema.GroupVersionKind{eventsv1.SchemeGroupVersion.WithKind("Event")},
	}
}

func eventFields(obj runtime.Object) fields.Set {
	e := obj.(*corev1.Event)
	return fields.Set{
		"involvedObject.kind":            e.InvolvedObject.Kind,
		"involvedObject.namespace":       e.InvolvedObject.Namespace,
		"involvedObject.name":            e.InvolvedObject.Name,
		"involvedObject.uid":             string(e.InvolvedObject.UID),
		"involvedObject.apiVersion":      e.InvolvedObject.APIVersion,
		"involvedObject.resourceVersion": e.InvolvedObject.ResourceVersion,
		"involvedObject.fieldPath":       e.InvolvedObject.FieldPath,
		"reason":                         e.Reason,
		"reportingComponent":             e.ReportingController,
		"source":                         apis.OrElse(e.Source.Component, e.ReportingController),
		"type":                           e.Type,
	}
}

func eventColumns() []apis.Column {
	return []apis.Column{
		apis.Text("Last Seen", "Time since it last happened.", eventLastSeen),
		apis.Text("Type", "Normal or Warning.", func(e *corev1.Event) string { return e.Type }),
		apis.Text("Reason", "Why, in one word.", func(e *corev1.Event) string { return e.Reason }),
		apis.Text("Object", "The object concerned.", func(e *corev1.Event) string {
			k := strings.ToLower(e.InvolvedObject.Kind)
			if e.InvolvedObject.Name == "" {
				return k
			}
			return k + "/" + e.InvolvedObject.Name
		}),
		apis.Text("Subobject", "The part of the object concerned.", func(e *corev1.Event) string { return e.InvolvedObject.FieldPath }).Wide(),
		apis.Text("Source", "Who reported it.", eventSource).Wide(),
		apis.Text("Message", "What happened.", func(e *corev1.Event) string { return strings.TrimSpace(e.Message) }),
		apis.Text("First Seen", "Time since it first happened.", eventFirstSeen).Wide(),
		apis.Number("Count", "How often it happened.", eventCount).AsText().Wide(),
		{Name: "Name", Type: "string", Format: "name", Priority: 1, Cell: apis.NameColumn().Cell},
	}
}

func eventFirstSeen(e *corev1.Event) string {
	if e.FirstTimestamp.IsZero() {
		return apis.SinceMicro(e.EventTime)
	}
	return apis.Since(e.FirstTimestamp)
}

func eventLastSeen(e *corev1.Event) string {
	switch {
	case e.Series != nil:
		return apis.SinceMicro(e.Series.LastObservedTime)
	case e.LastTimestamp.IsZero():
		return eventFirstSeen(e)
	default:
		return apis.Since(e.LastTimestamp)
	}
}

func eventCount(e *corev1.Event) int64 {
	switch {
	case e.Series != nil:
		return int64(e.Series.Count)
	case e.Count == 0:
		return 1
	default:
		return int64(e.Count)
	}
}

func eventSource(e *corev1.Event) string {
	component, instance := e.Source.Component, e.Source.Host
	if component == "" {
		component = e.ReportingController
	}
	if instance == "" {
		instance = e.ReportingInstance
	}
	if instance == "" {
		return component
	}
	return component + ", " + instance
}
