package network

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed ingressrules.yaml
var ingressRulesYAML string

func ingressRules() suite.Case {
	return suite.Case{
		Name:     "network/ingress-rules",
		Promise:  "an Ingress of the default class leads hosts and paths to the pods of its Services, on the address in its status",
		Needs:    []suite.Feature{suite.Containers, suite.Ingress},
		Manifest: ingressRulesYAML,
		// A default backend answers for the hosts of nobody, of other cases too.
		Alone: true,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			for _, name := range []string{"front", "api"} {
				if err := available(ctx, e, name); err != nil {
					return err
				}
			}
			at, err := ingressAddress(ctx, e, "site")
			if err != nil {
				return err
			}
			const (
				site = "site.$NS.example"
				wild = ".wild.$NS.example"
				rest = "rest.$NS.example"
			)
			for _, c := range []struct {
				host, path string
				status     int
				begins     string // of the body: a pod's name, or why there is none
			}{
				{site, "/", 200, "front-"},
				{site, "/apix", 200, "front-"},
				{site, "/api", 200, "api-"},
				{site, "/api/", 200, "api-"},
				{site, "/api/deeper", 200, "api-"},
				{site, "/api/exact", 200, "front-"},
				{site, "/api/exact/", 200, "api-"},
				{site, "/nobody", 503, ""},
				{site, "/missing/x", 503, ""},
				{"one" + wild, "/only", 200, "front-"},
				{"one.two" + wild, "/only/", 200, "api-"}, // the default backend's
				{rest, "/front", 200, "front-"},
				{rest, "/else", 200, "api-"},
				{"unknown.$NS.example", "/", 200, "api-"},
			} {
				host := strings.ReplaceAll(c.host, "$NS", e.Namespace)
				if err := answers(ctx, e, at, host, c.path, c.status, c.begins); err != nil {
					return err
				}
			}
			if _, err := e.Kubectl(ctx, "delete", "ingress/rest"); err != nil {
				return err
			}
			if err := answers(ctx, e, at, "unknown."+e.Namespace+".example", "/", 404, ""); err != nil {
				return err
			}
			return followsPods(ctx, e, at)
		},
	}
}

// followsPods: without pods it is a 503, and with new ones an answer again.
func followsPods(ctx context.Context, e *suite.Env, at string) error {
	host := "site." + e.Namespace + ".example"
	for _, step := range []struct {
		replicas string
		status   int
	}{{"0", 503}, {"2", 200}} {
		if _, err := e.Kubectl(ctx, "scale", "deployment/api", "--replicas="+step.replicas); err != nil {
			return err
		}
		if err := answers(ctx, e, at, host, "/api", step.status, ""); err != nil {
			return fmt.Errorf("with %s replicas: %w", step.replicas, err)
		}
	}
	return nil
}

// ingressAddress waits until the status says where the Ingress is served.
func ingressAddress(ctx context.Context, e *suite.Env, name string) (at string, err error) {
	err = e.Eventually(ctx, time.Minute, "an address of ingress "+name, func(ctx context.Context) (bool, string, error) {
		ing, err := e.Kube.NetworkingV1().Ingresses(e.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		for _, in := range ing.Status.LoadBalancer.Ingress {
			if at = in.IP; at == "" {
				at = in.Hostname
			}
		}
		return at != "", fmt.Sprintf("status %+v", ing.Status), nil
	})
	return at, err
}

// answers waits for an answer: rules take a moment to get to every node.
func answers(ctx context.Context, e *suite.Env, at, host, path string, status int, begins string) error {
	what := fmt.Sprintf("%d %s from http://%s%s at %s", status, begins, host, path, at)
	return e.Eventually(ctx, 30*time.Second, what, func(ctx context.Context) (bool, string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(at, "80")+path, nil)
		if err != nil {
			return false, "", err
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode == status && strings.HasPrefix(string(body), begins), fmt.Sprintf("%d %s", resp.StatusCode, body), err
	})
}
