package network

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed steady.yaml
var steadyYAML string

func steady() suite.Case {
	return suite.Case{
		Name:     "network/steady",
		Promise:  "a stream of requests through a Service sees no failure while its endpoints change a hundred times, nor does one through its neighbour",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: steadyYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if err := available(ctx, e, "web"); err != nil {
				return err
			}
			pods, err := e.Kube.CoreV1().Pods(e.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
			if err != nil {
				return err
			}
			slices := e.Kube.DiscoveryV1().EndpointSlices(e.Namespace)
			if _, err := slices.Create(ctx, without(pods.Items, 0), metav1.CreateOptions{}); err != nil {
				return err
			}
			// The pod is there, and the rules of the new slice.
			err = e.Eventually(ctx, time.Minute, "an answer", func(ctx context.Context) (bool, string, error) {
				_, err := e.Kubectl(ctx, "exec", "client", "--", "web", "get", "http://changing")
				return err == nil, "", err
			})
			if err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "exec", "client", "--", "touch", "/tmp/start"); err != nil {
				return err
			}
			const changes, pace = 100, 30 * time.Millisecond
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for i := range changes {
				if _, err := slices.Update(ctx, without(pods.Items, i+1), metav1.UpdateOptions{}); err != nil {
					return err
				}
				<-tick.C
			}
			if _, err := e.Kubectl(ctx, "exec", "client", "--", "touch", "/tmp/stop"); err != nil {
				return err
			}
			return noFailures(ctx, e)
		},
	}
}

// without is the slice of all pods but one; all of them keep serving.
func without(pods []corev1.Pod, out int) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "changing", Labels: map[string]string{discoveryv1.LabelServiceName: "changing"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(8080))}},
	}
	for i, p := range pods {
		if i != out%len(pods) {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{p.Status.PodIP}, NodeName: ptr.To(p.Spec.NodeName)})
		}
	}
	return s
}

// noFailures reads what the client said.
func noFailures(ctx context.Context, e *suite.Env) error {
	var out string
	err := e.Eventually(ctx, time.Minute, "the client to end", func(ctx context.Context) (bool, string, error) {
		var err error
		out, err = e.Kubectl(ctx, "logs", "client", "--tail=-1")
		return strings.HasSuffix(out, "done\n"), "", err
	})
	if err != nil {
		return err
	}
	count := map[string]int{}
	for line := range strings.Lines(out) {
		count[strings.TrimSpace(line)]++
	}
	if count["changing failed"]+count["still failed"] > 0 {
		return fmt.Errorf("requests failed: %v", count)
	}
	if least := 50; count["changing"] < least || count["still"] < least {
		return fmt.Errorf("too few requests to prove anything: %v", count)
	}
	e.Logf("requests: %v", count)
	return nil
}
