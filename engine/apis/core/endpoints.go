package core

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func endpoints() apis.Resource {
	rules := apis.TypedRules[*corev1.Endpoints]{
		Default:  defaultEndpoints,
		Validate: func(_ context.Context, e *corev1.Endpoints) field.ErrorList { return validateEndpoints(e) },
		ValidateUpdate: func(_ context.Context, e, old *corev1.Endpoints) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&e.ObjectMeta, &old.ObjectMeta, metadata)
			return append(errs, validateEndpoints(e)...)
		},
	}.Rules()
	rules.CreateOnUpdate = true
	return apis.Resource{
		GVK: kind("Endpoints"), Plural: "endpoints", Singular: "endpoints", ShortNames: []string{"ep"}, Namespaced: true,
		New:     func() runtime.Object { return &corev1.Endpoints{} },
		NewList: func() runtime.Object { return &corev1.EndpointsList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Endpoints", "The addresses and ports, at most three.", formatEndpoints),
			apis.AgeColumn(),
		},
	}
}

func defaultEndpoints(e *corev1.Endpoints) {
	for i := range e.Subsets {
		for j := range e.Subsets[i].Ports {
			setDefault(&e.Subsets[i].Ports[j].Protocol, corev1.ProtocolTCP)
		}
	}
}

func formatEndpoints(e *corev1.Endpoints) string {
	const most = 3
	if len(e.Subsets) == 0 {
		return "<none>"
	}
	var all []string
	for i := range e.Subsets {
		s := &e.Subsets[i]
		for _, a := range s.Addresses {
			if len(s.Ports) == 0 {
				all = append(all, a.IP)
			}
		}
		for _, p := range s.Ports {
			for _, a := range s.Addresses {
				all = append(all, net.JoinHostPort(a.IP, strconv.Itoa(int(p.Port))))
			}
		}
	}
	if len(all) > most {
		return fmt.Sprintf("%s + %d more...", strings.Join(all[:most], ","), len(all)-most)
	}
	return strings.Join(all, ",")
}
