package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pintle-io/pintle/conformance/suite"
)

func discovery() suite.Case {
	return suite.Case{
		Name:    "api/discovery",
		Promise: "kubectl api-resources and explain know every built-in group, and aggregated discovery agrees with the plain documents",
		Run: func(ctx context.Context, e *suite.Env) error {
			out, err := e.Kubectl(ctx, "api-resources", "-o", "name")
			if err != nil {
				return err
			}
			listed := strings.Fields(out)
			for _, want := range []string{"pods", "deployments.apps", "jobs.batch", "endpointslices.discovery.k8s.io", "leases.coordination.k8s.io", "clusterroles.rbac.authorization.k8s.io", "ingresses.networking.k8s.io"} {
				if !slices.Contains(listed, want) {
					return fmt.Errorf("api-resources does not list %s", want)
				}
			}
			doc, err := e.Kubectl(ctx, "explain", "deployment.spec.strategy.rollingUpdate.maxSurge")
			if err != nil {
				return err
			}
			if !strings.Contains(doc, "maximum number of pods") {
				return fmt.Errorf("explain does not document maxSurge: %q", doc)
			}
			_, plain, err := e.Kube.Discovery().ServerGroupsAndResources()
			if err != nil {
				return err
			}
			served := map[string]bool{}
			for _, list := range plain {
				for _, r := range list.APIResources {
					served[list.GroupVersion+"/"+r.Name] = true
				}
			}
			for _, want := range []string{"v1/pods/log", "v1/pods/exec", "v1/pods/binding", "apps/v1/deployments/scale", "v1/serviceaccounts/token"} {
				if !served[want] {
					return fmt.Errorf("discovery does not list %s", want)
				}
			}
			return nil
		},
	}
}
