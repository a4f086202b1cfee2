package auth

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/pintle-io/pintle/conformance/suite"
)

func probes() suite.Case {
	return suite.Case{
		Name:    "auth/probes",
		Promise: "anybody may ask whether the server is well and nothing else; the details, metrics and debugging are for those who may",
		Run: func(ctx context.Context, e *suite.Env) error {
			nobody, err := bearer(e, "")
			if err != nil {
				return err
			}
			somebody, err := as(e, "somebody", "system:authenticated")
			if err != nil {
				return err
			}
			for path, codes := range map[string][3]int{ // administrator, anybody known, nobody
				"/livez":             {http.StatusOK, http.StatusOK, http.StatusOK},
				"/readyz":            {http.StatusOK, http.StatusOK, http.StatusOK},
				"/readyz/etcd":       {http.StatusOK, http.StatusForbidden, http.StatusUnauthorized},
				"/livez/nothing":     {http.StatusNotFound, http.StatusForbidden, http.StatusUnauthorized},
				"/version":           {http.StatusOK, http.StatusOK, http.StatusUnauthorized},
				"/api/v1/namespaces": {http.StatusOK, http.StatusForbidden, http.StatusUnauthorized},
				"/metrics":           {http.StatusOK, http.StatusForbidden, http.StatusUnauthorized},
				"/metrics/slis":      {http.StatusOK, http.StatusForbidden, http.StatusUnauthorized},
				"/debug/pprof/":      {http.StatusOK, http.StatusForbidden, http.StatusUnauthorized},
				"/flagz":             {http.StatusOK, http.StatusForbidden, http.StatusUnauthorized},
				"/statusz":           {http.StatusOK, http.StatusForbidden, http.StatusUnauthorized},
				"/debug/api_priority_and_fairness/dump_requests": {http.StatusOK, http.StatusForbidden, http.StatusUnauthorized},
			} {
				if err := wantCode(ctx, "an administrator", e.Kube, path, codes[0]); err != nil {
					return err
				}
				if err := wantCode(ctx, "somebody", somebody, path, codes[1]); err != nil {
					return err
				}
				if err := wantCode(ctx, "nobody", nobody, path, codes[2]); err != nil {
					return err
				}
			}
			_, body := get(ctx, e.Kube, "/readyz?verbose=&exclude=etcd")
			for _, want := range []string{"[+]ping ok", "[+]etcd excluded: ok", "[+]informer-sync ok", "[+]poststarthook/priority-and-fairness-config-producer ok", "[+]shutdown ok", "readyz check passed"} {
				if !strings.Contains(body, want) {
					return fmt.Errorf("the checks lack %q:\n%s", want, body)
				}
			}
			_, body = get(ctx, e.Kube, "/metrics")
			for _, name := range []string{
				"apiserver_request_total", "apiserver_request_duration_seconds_bucket", "apiserver_current_inflight_requests", "apiserver_longrunning_requests",
				"apiserver_resource_objects", "apiserver_flowcontrol_current_executing_requests", "apiserver_flowcontrol_nominal_limit_seats", "apiserver_audit_event_total",
				"apiserver_watch_events_total", "authentication_attempts", "authorization_attempts_total", "workqueue_depth", "process_resident_memory_bytes", "go_goroutines", "kubernetes_build_info",
			} {
				if !strings.Contains(body, "\n"+name+"{") && !strings.Contains(body, "\n"+name+" ") {
					return fmt.Errorf("the metrics lack %s", name)
				}
			}
			return nil
		},
	}
}
