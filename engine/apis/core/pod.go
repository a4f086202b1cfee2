package core

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/pintle-io/pintle/engine/apis"
)

func pods() apis.Resource {
	rules := apis.TypedRules[*corev1.Pod]{
		Default:                DefaultPod,
		PrepareForCreate:       preparePodCreate,
		PrepareForUpdate:       preparePodUpdate,
		PrepareForStatusUpdate: preparePodStatusUpdate,
		Validate:               validatePodCreate,
		ValidateUpdate:         validatePodUpdate,
		ValidateStatusUpdate:   validatePodStatusUpdate,
		WarningsOnCreate:       podCreateWarnings,
		CheckGracefulDelete:    checkPodGracefulDelete,
	}.Rules()
	rules.ResetStatusFields = fieldpath.NewSet(
		fieldpath.MakePathOrDie("spec"),
		fieldpath.MakePathOrDie("metadata", "deletionTimestamp"),
		fieldpath.MakePathOrDie("metadata", "ownerReferences"),
	)
	return apis.Resource{
		GVK: kind("Pod"), Plural: "pods", Singular: "pod", ShortNames: []string{"po"}, Categories: []string{"all"}, Namespaced: true,
		New:            func() runtime.Object { return &corev1.Pod{} },
		NewList:        func() runtime.Object { return &corev1.PodList{} },
		ReturnsDeleted: true,
		Rules:          rules,
		Columns:        podColumns(),
		Fields:         podFields,
		HasStatus:      true,
	}
}

func podFields(obj runtime.Object) fields.Set {
	pod := obj.(*corev1.Pod)
	return fields.Set{
		"spec.nodeName":            pod.Spec.NodeName,
		"spec.restartPolicy":       string(pod.Spec.RestartPolicy),
		"spec.schedulerName":       pod.Spec.SchedulerName,
		"spec.serviceAccountName":  pod.Spec.ServiceAccountName,
		"spec.hostNetwork":         strconv.FormatBool(pod.Spec.HostNetwork),
		"status.phase":             string(pod.Status.Phase),
		"status.podIP":             pod.Status.PodIP,
		"status.nominatedNodeName": pod.Status.NominatedNodeName,
	}
}
