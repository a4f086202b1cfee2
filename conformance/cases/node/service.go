package node

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed service.yaml
var serviceYAML string

func service() suite.Case {
	return suite.Case{
		Name:     "node/service",
		Promise:  "a Service is found by name and reaches every ready pod behind it, and its endpoints follow the pods",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: serviceYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if _, err := pod(ctx, e, "client", "to be ready", ready); err != nil {
				return err
			}
			if err := endpoints(ctx, e, 2); err != nil {
				return err
			}
			seen := map[string]bool{}
			err := e.Eventually(ctx, time.Minute, "answers from both pods", func(ctx context.Context) (bool, string, error) {
				out, err := e.Kubectl(ctx, "exec", "client", "--", "web", "get", "http://web")
				if err == nil {
					seen[strings.TrimSpace(out)] = true
				}
				return len(seen) == 2, fmt.Sprint(seen), err
			})
			if err != nil {
				return err
			}
			name := "web." + e.Namespace + ".svc.cluster.local"
			if _, err := e.Kubectl(ctx, "exec", "client", "--", "web", "get", "http://"+name); err != nil {
				return fmt.Errorf("by its full name: %w", err)
			}
			if _, err := e.Kubectl(ctx, "scale", "deployment/web", "--replicas=0"); err != nil {
				return err
			}
			return endpoints(ctx, e, 0)
		},
	}
}

func endpoints(ctx context.Context, e *suite.Env, want int) error {
	return e.Eventually(ctx, time.Minute, fmt.Sprintf("%d ready endpoints", want), func(ctx context.Context) (bool, string, error) {
		slices, err := e.Kube.DiscoveryV1().EndpointSlices(e.Namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=web"})
		if err != nil {
			return false, "", err
		}
		n := 0
		for _, s := range slices.Items {
			for _, ep := range s.Endpoints {
				if ep.Conditions.Ready == nil || *ep.Conditions.Ready {
					n++
				}
			}
		}
		return n == want, fmt.Sprintf("%d ready", n), nil
	})
}
