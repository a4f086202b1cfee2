// Package metricsapi serves metrics.k8s.io: what nodes and pods use of processors
// and memory, asked of the node agents when a client asks, and kept for a moment.
// It stores nothing and measures nothing itself. A Handler may be used by any
// number of requests at once; requests for one node share one question to it.
package metricsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	metricsv1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/pintle-io/pintle/runtime/stats"
)

// GroupVersion that is served, below Path.
const (
	GroupVersion = "metrics.k8s.io/v1beta1"
	Path         = "/apis/" + GroupVersion
)

// Config of a Handler; all is required.
type Config struct {
	Nodes corelisters.NodeLister
	Pods  corelisters.PodLister
	// Transport reaches the node agents.
	Transport http.RoundTripper
}

// Handler serves the group's only version. Authentication and authorization are
// the caller's.
type Handler struct {
	http.Handler
	cfg   Config
	nodes *nodes
}

// New starts nothing.
func New(cfg Config) *Handler {
	mux := http.NewServeMux()
	h := &Handler{Handler: mux, cfg: cfg, nodes: newNodes(cfg.Transport)}
	on := func(path string, serve func(r *http.Request) (any, error)) {
		mux.HandleFunc("GET "+Path+path, func(w http.ResponseWriter, r *http.Request) {
			body, err := serve(r)
			if err != nil {
				refuse(w, err)
				return
			}
			write(w, http.StatusOK, body)
		})
	}
	on("", func(*http.Request) (any, error) { return Discovery(), nil })
	on("/nodes", h.listNodes)
	on("/nodes/{name}", h.getNode)
	on("/pods", h.listPods)
	on("/namespaces/{namespace}/pods", h.listPods)
	on("/namespaces/{namespace}/pods/{name}", h.getPod)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, apierrors.NewMethodNotSupported(metricsv1.Resource("metrics"), r.Method))
	})
	return h
}

// Discovery describes what is served.
func Discovery() metav1.APIResourceList {
	verbs := metav1.Verbs{"get", "list"}
	return metav1.APIResourceList{
		TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: GroupVersion,
		APIResources: []metav1.APIResource{
			{Name: "nodes", Kind: "NodeMetrics", Verbs: verbs, Group: metricsv1.GroupName, Version: "v1beta1"},
			{Name: "pods", Kind: "PodMetrics", Namespaced: true, Verbs: verbs, Group: metricsv1.GroupName, Version: "v1beta1"},
		},
	}
}

func (h *Handler) listNodes(r *http.Request) (any, error) {
	wanted, err := selection(r)
	if err != nil {
		return nil, err
	}
	list, err := h.cfg.Nodes.List(wanted.labels)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(slices.Clone(list), func(n *corev1.Node) bool { return !wanted.fields.Matches(fields.Set{"metadata.name": n.Name}) })
	slices.SortFunc(list, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	measured := h.nodes.askAll(r.Context(), list)
	out := metricsv1.NodeMetricsList{TypeMeta: metav1.TypeMeta{Kind: "NodeMetricsList", APIVersion: GroupVersion}, Items: []metricsv1.NodeMetrics{}}
	for _, n := range list {
		if s := measured[n.Name]; s != nil {
			if m, ok := nodeMetrics(n, &s.Node); ok {
				out.Items = append(out.Items, m)
			}
		}
	}
	return out, nil
}

func (h *Handler) getNode(r *http.Request) (any, error) {
	name := r.PathValue("name")
	missing := apierrors.NewNotFound(metricsv1.Resource("nodemetrics"), name)
	n, err := h.cfg.Nodes.Get(name)
	if err != nil {
		return nil, missing
	}
	s, err := h.nodes.ask(r.Context(), n)
	if err != nil {
		return nil, apierrors.NewServiceUnavailable(err.Error())
	}
	if m, ok := nodeMetrics(n, &s.Node); ok {
		m.TypeMeta = metav1.TypeMeta{Kind: "NodeMetrics", APIVersion: GroupVersion}
		return m, nil
	}
	return nil, missing
}

func (h *Handler) listPods(r *http.Request) (any, error) {
	wanted, err := selection(r)
	if err != nil {
		return nil, err
	}
	lister := h.cfg.Pods.List
	if ns := r.PathValue("namespace"); ns != "" {
		lister = h.cfg.Pods.Pods(ns).List
	}
	pods, err := lister(wanted.labels)
	if err != nil {
		return nil, err
	}
	pods = slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool {
		return p.Status.Phase != corev1.PodRunning ||
			!wanted.fields.Matches(fields.Set{"metadata.name": p.Name, "metadata.namespace": p.Namespace, "spec.nodeName": p.Spec.NodeName})
	})
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	out := metricsv1.PodMetricsList{TypeMeta: metav1.TypeMeta{Kind: "PodMetricsList", APIVersion: GroupVersion}, Items: []metricsv1.PodMetrics{}}
	measured := map[string]*statsv1.PodStats{}
	for _, s := range h.nodes.askAll(r.Context(), h.nodesOf(pods)) {
		for i := range s.Pods {
			measured[s.Pods[i].PodRef.UID] = &s.Pods[i]
		}
	}
	for _, p := range pods {
		if m, ok := podMetrics(p, measured[string(p.UID)]); ok {
			out.Items = append(out.Items, m)
		}
	}
	return out, nil
}

func (h *Handler) getPod(r *http.Request) (any, error) {
	name := r.PathValue("namespace") + "/" + r.PathValue("name")
	missing := apierrors.NewNotFound(metricsv1.Resource("podmetrics"), name)
	p, err := h.cfg.Pods.Pods(r.PathValue("namespace")).Get(r.PathValue("name"))
	if err != nil || p.Status.Phase != corev1.PodRunning {
		return nil, missing
	}
	for _, s := range h.nodes.askAll(r.Context(), h.nodesOf([]*corev1.Pod{p})) {
		for i := range s.Pods {
			if m, ok := podMetrics(p, &s.Pods[i]); ok && s.Pods[i].PodRef.UID == string(p.UID) {
				m.TypeMeta = metav1.TypeMeta{Kind: "PodMetrics", APIVersion: GroupVersion}
				return m, nil
			}
		}
	}
	return nil, missing
}

func (h *Handler) nodesOf(pods []*corev1.Pod) []*corev1.Node {
	var out []*corev1.Node
	seen := map[string]bool{}
	for _, p := range pods {
		if n, err := h.cfg.Nodes.Get(p.Spec.NodeName); err == nil && !seen[n.Name] {
			seen[n.Name] = true
			out = append(out, n)
		}
	}
	return out
}

type selectors struct {
	labels labels.Selector
	fields fields.Selector
}

func selection(r *http.Request) (s selectors, err error) {
	if s.labels, err = labels.Parse(r.URL.Query().Get("labelSelector")); err == nil {
		s.fields, err = fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	}
	if err != nil {
		return s, apierrors.NewBadRequest(err.Error())
	}
	return s, nil
}

// usage is false until there is a rate.
func usage(cpu *statsv1.CPUStats, memory *statsv1.MemoryStats) (corev1.ResourceList, bool) {
	if cpu == nil || cpu.UsageNanoCores == nil || memory == nil || memory.WorkingSetBytes == nil {
		return nil, false
	}
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewScaledQuantity(int64(*cpu.UsageNanoCores), resource.Nano),
		corev1.ResourceMemory: *resource.NewQuantity(int64(*memory.WorkingSetBytes), resource.BinarySI),
	}, true
}

func nodeMetrics(n *corev1.Node, s *statsv1.NodeStats) (metricsv1.NodeMetrics, bool) {
	used, ok := usage(s.CPU, s.Memory)
	if !ok {
		return metricsv1.NodeMetrics{}, false
	}
	return metricsv1.NodeMetrics{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels, CreationTimestamp: metav1.Now()},
		Timestamp:  s.CPU.Time, Window: metav1.Duration{Duration: stats.SampleEvery}, Usage: used,
	}, true
}

// podMetrics is false unless every container was measured: part of a pod's usage
// would mislead an autoscaler.
func podMetrics(p *corev1.Pod, s *statsv1.PodStats) (metricsv1.PodMetrics, bool) {
	m := metricsv1.PodMetrics{
		ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, Labels: p.Labels, CreationTimestamp: metav1.Now()},
		Window:     metav1.Duration{Duration: stats.SampleEvery},
	}
	if s == nil || len(s.Containers) == 0 {
		return m, false
	}
	for _, c := range s.Containers {
		used, ok := usage(c.CPU, c.Memory)
		if !ok {
			return m, false
		}
		m.Containers = append(m.Containers, metricsv1.ContainerMetrics{Name: c.Name, Usage: used})
		m.Timestamp = c.CPU.Time
	}
	return m, true
}

func refuse(w http.ResponseWriter, err error) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		status = apierrors.NewInternalError(fmt.Errorf("usage of nodes and pods: %w", err))
	}
	body := status.Status()
	body.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	write(w, int(body.Code), body)
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// The client may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(body)
}

// keepFor is how long an answer of a node is good: agents measure every
// stats.SampleEvery.
const keepFor = 2 * time.Second
