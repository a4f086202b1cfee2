package agent

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	authzv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// Bounds of the kubelet API.
const (
	headerTimeout   = 30 * time.Second
	streamIdle      = 4 * time.Hour
	stopTimeout     = 2 * time.Second
	authorizedTime  = 5 * time.Minute
	refusedTime     = 30 * time.Second
	maxAuthorizings = 1024
)

// serve answers the kubelet API until ctx ends.
func (a *Agent) serve(ctx context.Context) error {
	if a.cfg.Listener == nil {
		<-ctx.Done()
		return nil
	}
	srv := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: headerTimeout, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, ClientCAs: a.cfg.ClientCA, ClientAuth: tls.VerifyClientCertIfGiven,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if a.cfg.GetServerTLS != nil {
				return a.cfg.GetServerTLS()
			}
			return a.cfg.ServerTLS, nil
		},
		// Streams are upgraded connections, which HTTP/2 does not have.
		NextProtos: []string{"http/1.1"},
	}}
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(a.cfg.Listener, "", "") }()
	select {
	case err := <-done:
		return fmt.Errorf("kubelet API: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		// Streams are cut off.
		return srv.Close()
	}
	return nil
}

// Handler is the kubelet API. Every request but /healthz needs a client
// certificate whose owner may use the node's subresources.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	auth := &authorizer{agent: a, known: map[string]verdict{}}
	on := func(pattern, subresource string, h http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if auth.allow(w, r, subresource) {
				h(w, r)
			}
		})
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	on("GET /pods", "proxy", a.servePods)
	on("PUT /localVolumes/{name}", "proxy", a.serveLocalVolume)
	on("DELETE /localVolumes/{name}", "proxy", a.serveLocalVolume)
	on("GET /stats/summary", "stats", a.serveStats)
	on("GET /containerLogs/{namespace}/{pod}/{container}", "proxy", a.serveLogs)
	for path, h := range a.metricPaths() {
		on("GET "+path, "metrics", h.ServeHTTP)
	}
	for _, uid := range []string{"", "/{uid}"} {
		on("/exec/{namespace}/{pod}"+uid+"/{container}", "proxy", a.serveExec)
		on("/attach/{namespace}/{pod}"+uid+"/{container}", "proxy", a.serveAttach)
		on("/portForward/{namespace}/{pod}"+uid, "proxy", a.servePortForward)
	}
	return mux
}

// podOf finds the pod a request names; nil after an answer was sent.
func (a *Agent) podOf(w http.ResponseWriter, r *http.Request) *corev1.Pod {
	key := r.PathValue("namespace") + "/" + r.PathValue("pod")
	o, ok, err := a.podStore.GetByKey(key)
	if err != nil || !ok {
		http.Error(w, fmt.Sprintf("pod %s does not exist on node %s", key, a.cfg.NodeName), http.StatusNotFound)
		return nil
	}
	pod := o.(*corev1.Pod)
	if uid := r.PathValue("uid"); uid != "" && uid != string(pod.UID) {
		http.Error(w, fmt.Sprintf("pod %s has another UID", key), http.StatusNotFound)
		return nil
	}
	return pod
}

func (a *Agent) servePods(w http.ResponseWriter, _ *http.Request) {
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
	for _, pod := range a.pods() {
		list.Items = append(list.Items, *pod)
	}
	answer(w, list)
}

func (a *Agent) serveStats(w http.ResponseWriter, r *http.Request) {
	brief, _ := strconv.ParseBool(r.URL.Query().Get("only_cpu_and_memory"))
	summary, err := a.stats.Summary(r.Context(), brief)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, summary)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// The client may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(v)
}

func (a *Agent) serveExec(w http.ResponseWriter, r *http.Request) {
	pod := a.podOf(w, r)
	if pod == nil {
		return
	}
	opts, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, streamer{a}, pod.Name, string(pod.UID), r.PathValue("container"), r.URL.Query()["command"], opts,
		streamIdle, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (a *Agent) serveAttach(w http.ResponseWriter, r *http.Request) {
	pod := a.podOf(w, r)
	if pod == nil {
		return
	}
	opts, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeAttach(w, r, streamer{a}, pod.Name, string(pod.UID), r.PathValue("container"), opts,
		streamIdle, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (a *Agent) servePortForward(w http.ResponseWriter, r *http.Request) {
	pod := a.podOf(w, r)
	if pod == nil {
		return
	}
	opts, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, streamer{a}, pod.Name, string(pod.UID), opts,
		streamIdle, remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

// authorizer decides who may use the kubelet API: the API server by its name,
// system:masters, and whom the API server says yes to.
type authorizer struct {
	agent *Agent
	mu    sync.Mutex
	known map[string]verdict
}

type verdict struct {
	allowed bool
	until   time.Time
}

func (z *authorizer) allow(w http.ResponseWriter, r *http.Request, subresource string) bool {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return false
	}
	subject := r.TLS.VerifiedChains[0][0].Subject
	for _, group := range subject.Organization {
		if group == "system:masters" {
			return true
		}
	}
	if subject.CommonName == z.agent.cfg.APIServerName {
		return true
	}
	ok, err := z.ask(r, subject.CommonName, subject.Organization, subresource)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return false
	}
	if !ok {
		http.Error(w, fmt.Sprintf("Forbidden (user=%s, resource=nodes, subresource=%s)", subject.CommonName, subresource), http.StatusForbidden)
	}
	return ok
}

func (z *authorizer) ask(r *http.Request, user string, groups []string, subresource string) (bool, error) {
	verb := map[string]string{http.MethodGet: "get", http.MethodPost: "create", http.MethodPut: "update", http.MethodDelete: "delete"}[r.Method]
	key := strings.Join(append([]string{user, verb, subresource}, groups...), "\x00")
	now := time.Now()
	z.mu.Lock()
	v, ok := z.known[key]
	z.mu.Unlock()
	if ok && now.Before(v.until) {
		return v.allowed, nil
	}
	review, err := z.agent.cfg.Client.AuthorizationV1().SubjectAccessReviews().Create(r.Context(), &authzv1.SubjectAccessReview{
		Spec: authzv1.SubjectAccessReviewSpec{User: user, Groups: groups, ResourceAttributes: &authzv1.ResourceAttributes{
			Verb: verb, Version: "v1", Resource: "nodes", Subresource: subresource, Name: z.agent.cfg.NodeName,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask the API server whether %s may use the node: %w", user, err)
	}
	v = verdict{review.Status.Allowed, now.Add(refusedTime)}
	if v.allowed {
		v.until = now.Add(authorizedTime)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.known) >= maxAuthorizings {
		clear(z.known)
	}
	z.known[key] = v
	return v.allowed, nil
}

// logQuery reads the options of a log request.
func logQuery(r *http.Request) (corev1.PodLogOptions, error) {
	var o corev1.PodLogOptions
	q := r.URL.Query()
	var errs []error
	flag := func(name string) bool {
		v := q.Get(name)
		b, err := strconv.ParseBool(v)
		if v != "" && err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		return b
	}
	number := func(name string) *int64 {
		v := q.Get(name)
		if v == "" {
			return nil
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			errs = append(errs, fmt.Errorf("%s: %q is not a number", name, v))
		}
		return &n
	}
	o.Follow, o.Previous, o.Timestamps = flag("follow"), flag("previous"), flag("timestamps")
	o.TailLines, o.SinceSeconds, o.LimitBytes = number("tailLines"), number("sinceSeconds"), number("limitBytes")
	if v := q.Get("sinceTime"); v != "" {
		t, err := time.Parse(time.RFC3339, v)
		if err != nil {
			errs = append(errs, fmt.Errorf("sinceTime: %w", err))
		}
		mt := metav1.NewTime(t)
		o.SinceTime = &mt
	}
	if v := q.Get("stream"); v != "" {
		o.Stream = &v
	}
	return o, errors.Join(errs...)
}
