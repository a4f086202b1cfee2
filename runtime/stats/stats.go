// Package stats measures pods in the form of the kubelet's summary API. It reads
// the container runtime and keeps nothing.
package stats

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/pintle-io/pintle/runtime/container"
)

// Source is what is measured.
type Source interface {
	Pod(ctx context.Context, uid string) (container.PodState, error)
	Stats(ctx context.Context, id string) (container.Stats, error)
}

// Summarize measures all running containers of the pods.
func Summarize(ctx context.Context, node string, pods []*corev1.Pod, src Source, now time.Time) (*statsv1.Summary, error) {
	out := &statsv1.Summary{Node: statsv1.NodeStats{NodeName: node, StartTime: metav1.NewTime(now)}, Pods: []statsv1.PodStats{}}
	for _, pod := range pods {
		state, err := src.Pod(ctx, string(pod.UID))
		if err != nil {
			return nil, err
		}
		p := statsv1.PodStats{PodRef: statsv1.PodReference{Name: pod.Name, Namespace: pod.Namespace, UID: string(pod.UID)}}
		if pod.Status.StartTime != nil {
			p.StartTime = *pod.Status.StartTime
		}
		var total container.Stats
		for _, c := range state.Containers {
			if c.State != container.Running {
				continue
			}
			s, err := src.Stats(ctx, c.ID)
			if errors.Is(err, container.ErrNotRunning) || errors.Is(err, container.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			p.Containers = append(p.Containers, statsv1.ContainerStats{
				Name: c.Name, StartTime: metav1.NewTime(c.StartedAt), CPU: cpu(s), Memory: memory(s),
			})
			total.Time = s.Time
			total.CPUNanos += s.CPUNanos
			total.MemoryUsage += s.MemoryUsage
			total.MemoryWorkingSet += s.MemoryWorkingSet
			total.MemoryRSS += s.MemoryRSS
		}
		if len(p.Containers) > 0 {
			p.CPU, p.Memory = cpu(total), memory(total)
			out.Pods = append(out.Pods, p)
		}
	}
	return out, nil
}

func cpu(s container.Stats) *statsv1.CPUStats {
	return &statsv1.CPUStats{Time: metav1.NewTime(s.Time), UsageCoreNanoSeconds: &s.CPUNanos}
}

func memory(s container.Stats) *statsv1.MemoryStats {
	return &statsv1.MemoryStats{
		Time: metav1.NewTime(s.Time), UsageBytes: &s.MemoryUsage, WorkingSetBytes: &s.MemoryWorkingSet, RSSBytes: &s.MemoryRSS,
	}
}
