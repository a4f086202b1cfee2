package api

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed accesscontrol.yaml
var accessControlYAML string

func accessControl() suite.Case {
	return suite.Case{
		Name:     "api/access-control",
		Promise:  "a service account may do what its Role grants and nothing else, and auth can-i says the same",
		Manifest: accessControlYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			token, err := e.Kube.CoreV1().ServiceAccounts(e.Namespace).CreateToken(ctx, "reader", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("ask for a token: %w", err)
			}
			cfg := rest.AnonymousClientConfig(e.REST)
			cfg.BearerToken = token.Status.Token
			reader, err := kubernetes.NewForConfig(cfg)
			if err != nil {
				return err
			}
			err = e.Eventually(ctx, waitShort, "the role to take effect", func(ctx context.Context) (bool, string, error) {
				_, err := reader.CoreV1().ConfigMaps(e.Namespace).List(ctx, metav1.ListOptions{})
				return err == nil, "", err
			})
			if err != nil {
				return err
			}
			_, err = reader.CoreV1().ConfigMaps(e.Namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `cannot create resource "configmaps"`) {
				return fmt.Errorf("create gave %v, want forbidden", err)
			}
			who := "--as=system:serviceaccount:" + e.Namespace + ":reader"
			if out, err := e.Kubectl(ctx, "auth", "can-i", "list", "configmaps", who); err != nil || strings.TrimSpace(out) != "yes" {
				return fmt.Errorf("can-i list: %q, %v", out, err)
			}
			if out, _ := e.Kubectl(ctx, "auth", "can-i", "delete", "configmaps", who); strings.TrimSpace(out) != "no" {
				return fmt.Errorf("can-i delete: %q, want no", out)
			}
			return nil
		},
	}
}
