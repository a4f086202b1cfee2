package auth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/conformance/suite"
)

func flows() suite.Case {
	return suite.Case{
		Name:    "auth/flows",
		Promise: "requests are told their flow schema and priority level, a new schema takes effect, and the default ones are there and are looked after",
		Alone:   true,
		Run: func(ctx context.Context, e *suite.Env) error {
			schemas := e.Kube.FlowcontrolV1().FlowSchemas()
			for _, name := range []string{"exempt", "catch-all", "system-nodes", "system-leader-election", "kube-controller-manager", "service-accounts", "global-default", "probes"} {
				s, err := schemas.Get(ctx, name, metav1.GetOptions{})
				if err != nil {
					return err
				}
				if len(s.Status.Conditions) != 1 || s.Status.Conditions[0].Status != flowcontrolv1.ConditionFalse {
					return fmt.Errorf("flow schema %s: %+v", name, s.Status)
				}
			}
			user := "flow-of-" + e.Namespace
			mine, err := schemas.Create(ctx, &flowcontrolv1.FlowSchema{ObjectMeta: metav1.ObjectMeta{Name: user}, Spec: flowcontrolv1.FlowSchemaSpec{
				PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "workload-low"}, MatchingPrecedence: 500,
				Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
					Subjects:         []flowcontrolv1.Subject{{Kind: "User", User: &flowcontrolv1.UserSubject{Name: user}}},
					NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}},
				}},
			}}, metav1.CreateOptions{})
			if err != nil {
				return err
			}
			defer func() { _ = schemas.Delete(context.WithoutCancel(ctx), user, metav1.DeleteOptions{}) }()
			var seen string
			cfg := rest.CopyConfig(e.REST)
			cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
			client, err := rest.HTTPClientFor(cfg)
			if err != nil {
				return err
			}
			err = e.Eventually(ctx, 30*time.Second, "the new flow schema takes requests", func(ctx context.Context) (bool, string, error) {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.REST.Host+"/version", nil)
				if err != nil {
					return false, "", err
				}
				response, err := client.Do(req)
				if err != nil {
					return false, err.Error(), nil
				}
				response.Body.Close()
				seen = response.Header.Get("X-Kubernetes-Pf-Flowschema-Uid")
				return seen == string(mine.UID), seen, nil
			})
			if err != nil {
				return err
			}
			before, err := schemas.Get(ctx, "catch-all", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if err := schemas.Delete(ctx, "catch-all", metav1.DeleteOptions{}); err != nil {
				return err
			}
			return e.Eventually(ctx, 90*time.Second, "a deleted mandatory flow schema comes back", func(ctx context.Context) (bool, string, error) {
				now, err := schemas.Get(ctx, "catch-all", metav1.GetOptions{})
				return err == nil && now.UID != before.UID, fmt.Sprint(err), nil
			})
		},
	}
}
