package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	bindPods    = 3000
	bindTime    = 5 * time.Minute
	phaseLabel  = "bench.test/phase"
	groupLabel  = "bench.test/group"
	everyLabel  = "bench.test/every" // the same on every node
	groupedPods = 100
)

// workload is one shape of pods to be bound.
type workload struct {
	name string
	// shape changes pod number i of a phase, which is labelled with the phase.
	shape func(i int, phase string, p *corev1.Pod)
	// mixed is the goal while clients create the pods, alone that of binding alone,
	// by number of nodes; a size without goals is not measured.
	mixed, alone map[int]goal
}

var workloads = []workload{
	{"plain", func(int, string, *corev1.Pod) {},
		map[int]goal{1000: times(354, 4, 8), 5000: times(239, 5, 10)},
		map[int]goal{1000: times(0, 10, 20), 5000: times(0, 10, 20)}},
	{"zone spread", spreadOverZones,
		map[int]goal{1000: times(151, 8, 20), 5000: times(92, 10, 30)},
		map[int]goal{1000: times(0, 10, 30), 5000: times(0, 10, 30)}},
	{"hostname anti-affinity", apartInGroups,
		map[int]goal{5000: times(79, 10, 30)},
		map[int]goal{5000: times(0, 10, 30)}},
}

func spreadOverZones(_ int, phase string, p *corev1.Pod) {
	p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		TopologyKey: corev1.LabelTopologyZone, MaxSkew: 1, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{phaseLabel: phase}},
	}}
}

func apartInGroups(i int, phase string, p *corev1.Pod) {
	p.Labels[groupLabel] = fmt.Sprintf("%s-%d", phase, i/groupedPods)
	p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey:   corev1.LabelHostname,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{groupLabel: p.Labels[groupLabel]}},
		}},
	}}
}

// bindings measures how fast pods get nodes: while clients create them on the same
// cores, and alone, created while scheduling was held and then let go together.
func bindings(ctx context.Context, sys system, r *report) error {
	var failed error
	for _, nodes := range []int{1000, 5000} {
		failed = errors.Join(failed, withServer(ctx, sys, true, func(s server) error {
			return bindOn(ctx, s, r, nodes)
		}))
	}
	return failed
}

func bindOn(ctx context.Context, s server, r *report, nodes int) error {
	kube, err := clientFor(s, protobuf)
	if err != nil {
		return err
	}
	if err := makeNodes(ctx, kube, nodes); err != nil {
		return err
	}
	measured := nodes != 5000
	for i, w := range workloads {
		mixed, ok := w.mixed[nodes]
		if !ok {
			continue
		}
		if err := renewLeases(ctx, kube, nodes); err != nil {
			return err
		}
		on := fmt.Sprintf("%s, %d nodes", w.name, nodes)
		if err := bindMixed(ctx, s, kube, r, "bind while creating, "+on, mixed, w, fmt.Sprintf("mixed-%d", i)); err != nil {
			return err
		}
		if err := renewLeases(ctx, kube, nodes); err != nil {
			return err
		}
		if err := bindAlone(ctx, s, kube, r, "bind alone, "+on, w.alone[nodes], w, fmt.Sprintf("alone-%d", i)); err != nil {
			return err
		}
		if measured {
			continue
		}
		// Upstream's figure is of 5,000 pods; there are 6,000 now.
		peak, err := peakBytes(s)
		if err != nil {
			return err
		}
		measured = true
		r.add("peak resident memory, 5,000 nodes, 6,000 pods", peak/1e6, megabytes, goal{upstream: 1450, must: 362, aim: 181})
	}
	return nil
}

func bindMixed(ctx context.Context, s server, kube kubernetes.Interface, r *report, work string, g goal, w workload, phase string) error {
	return timeBinding(ctx, s, kube, r, work, g, phase, func(ctx context.Context) error {
		return createPhase(ctx, kube, w, phase)
	})
}

func bindAlone(ctx context.Context, s server, kube kubernetes.Interface, r *report, work string, g goal, w workload, phase string) error {
	release, err := s.holdScheduling(ctx, kube)
	if err != nil {
		return err
	}
	if err := createPhase(ctx, kube, w, phase); err != nil {
		return errors.Join(err, release(ctx))
	}
	if err := pause(ctx, settle); err != nil { // a first attempt may be under way
		return err
	}
	return timeBinding(ctx, s, kube, r, work, g, phase, release)
}

// timeBinding measures from the beginning of start until all pods of the phase
// have nodes.
func timeBinding(ctx context.Context, s server, kube kubernetes.Interface, r *report, work string, g goal, phase string, start func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, bindTime)
	defer cancel()
	before, err := cpuOf(s)
	if err != nil {
		return err
	}
	began := time.Now()
	started := make(chan error, 1)
	go func() { started <- start(ctx) }()
	bound := map[string]bool{}
	for len(bound) < bindPods && err == nil {
		err = watchBound(ctx, kube, phase, bound) // again if the server ends it, as it does when the client is slow
	}
	took := time.Since(began)
	if err := errors.Join(err, <-started); err != nil {
		return fmt.Errorf("%s: %d of %d pods have nodes after %v: %w", work, len(bound), bindPods, took, err)
	}
	after, err := cpuOf(s)
	if err != nil {
		return err
	}
	r.addCost(work, bindPods/took.Seconds(), perSecond, g, (after-before)/bindPods)
	return nil
}

// watchBound collects the phase's pods that have nodes until it has all of them, or
// the watch ends.
func watchBound(ctx context.Context, kube kubernetes.Interface, phase string, bound map[string]bool) error {
	w, err := kube.CoreV1().Pods(metav1.NamespaceDefault).Watch(ctx, metav1.ListOptions{
		LabelSelector: phaseLabel + "=" + phase, FieldSelector: "spec.nodeName!=",
	})
	if err != nil {
		return err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if pod, ok := e.Object.(*corev1.Pod); ok {
			bound[pod.Name] = true
		}
		if len(bound) == bindPods {
			return nil
		}
	}
	return ctx.Err()
}

func createPhase(ctx context.Context, kube kubernetes.Interface, w workload, phase string) error {
	_, err := drive(ctx, bindPods, func(ctx context.Context, i int) error {
		p := unscheduled(fmt.Sprintf("%s-%d", phase, i))
		p.Spec.SchedulerName = ""
		p.Labels = map[string]string{phaseLabel: phase}
		w.shape(i, phase, p)
		_, err := kube.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, p, metav1.CreateOptions{})
		return err
	})
	return err
}
