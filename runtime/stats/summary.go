package stats

import (
	"context"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/pintle-io/pintle/runtime/container"
)

// Summary describes the node and its running pods; brief leaves out everything
// but processors and memory.
func (c *Collector) Summary(ctx context.Context, brief bool) (*statsv1.Summary, error) {
	last, before, err := c.samples(ctx)
	if err != nil {
		return nil, err
	}
	pods, err := c.pods(ctx)
	if err != nil {
		return nil, err
	}
	fs := statFS(c.cfg.DataDir)
	out := &statsv1.Summary{Node: c.node(last, before, fs, brief), Pods: []statsv1.PodStats{}}
	for i := range pods {
		out.Pods = append(out.Pods, c.pod(ctx, &pods[i], fs, brief))
	}
	return out, nil
}

func (c *Collector) node(last, before *sample, fs fileSystem, brief bool) statsv1.NodeStats {
	m := last.machine
	var nano *uint64
	if before != nil {
		nano = rate(m.stats.CPUNanos, before.machine.stats.CPUNanos, m.stats.Time.Sub(before.machine.stats.Time))
	}
	n := statsv1.NodeStats{
		NodeName: c.cfg.Node, StartTime: metav1.NewTime(c.started), CPU: cpu(m.stats, nano), Memory: memory(m.stats, m.total),
	}
	if brief {
		return n
	}
	used := container.DiskUsage{Bytes: less(fs.size, fs.free), Inodes: less(fs.inodes, fs.freeInodes)}
	n.Fs = onDisk(m.stats, fs, used)
	n.Runtime = &statsv1.RuntimeStats{ImageFs: onDisk(m.stats, fs, used), ContainerFs: onDisk(m.stats, fs, used)}
	n.Network = network(m.stats, m.network)
	n.Rlimit = &statsv1.RlimitStats{Time: metav1.NewTime(last.at), MaxPID: &m.maxPid, NumOfRunningProcesses: &m.procs}
	n.Swap = &statsv1.SwapStats{Time: metav1.NewTime(last.at), SwapUsageBytes: &m.swap}
	return n
}

func (c *Collector) pod(ctx context.Context, p *Pod, fs fileSystem, brief bool) statsv1.PodStats {
	out := statsv1.PodStats{
		PodRef:    statsv1.PodReference{Name: p.Name, Namespace: p.Namespace, UID: string(p.UID)},
		StartTime: metav1.NewTime(p.CreationTimestamp.Time), CPU: cpu(p.Total, p.NanoCores), Memory: memory(p.Total, 0),
	}
	if p.Status.StartTime != nil {
		out.StartTime = *p.Status.StartTime
	}
	var all container.DiskUsage
	for i := range p.Containers {
		x := &p.Containers[i]
		s := statsv1.ContainerStats{
			Name: x.Name, StartTime: metav1.NewTime(x.StartedAt), CPU: cpu(x.Stats, x.NanoCores), Memory: memory(x.Stats, memoryLimit(p.Pod, x.Name)),
		}
		if !brief {
			rootfs, logs := c.rootfs(ctx, x.ID), c.tree(filepath.Dir(x.LogPath))
			s.Rootfs, s.Logs = onDisk(x.Stats, fs, rootfs), onDisk(x.Stats, fs, logs)
			all = sum(all, sum(rootfs, logs))
		}
		out.Containers = append(out.Containers, s)
	}
	if brief {
		return out
	}
	for _, v := range p.Spec.Volumes {
		used, own, ok := c.volume(p.Pod, &v)
		if !ok {
			continue
		}
		out.VolumeStats = append(out.VolumeStats, statsv1.VolumeStats{FsStats: *onDisk(p.Total, own, used), Name: v.Name, PVCRef: claimOf(p.Pod, &v)})
		if scratch(&v) {
			all = sum(all, used)
		}
	}
	out.EphemeralStorage = onDisk(p.Total, fs, all)
	out.Network = network(p.Total, p.Network)
	out.ProcessStats = &statsv1.ProcessStats{ProcessCount: &p.Total.Pids}
	return out
}

// volume measures one that is a folder of files; own is the file system it is on.
func (c *Collector) volume(pod *corev1.Pod, v *corev1.Volume) (used container.DiskUsage, own fileSystem, ok bool) {
	if v.HostPath != nil {
		return used, own, false
	}
	dir := c.cfg.VolumeDir(pod, v.Name)
	if dir == "" {
		return used, own, false
	}
	return c.tree(dir), statFS(dir), true
}

// scratch volumes lie on the node's disk and go with the pod.
func scratch(v *corev1.Volume) bool {
	return v.ConfigMap != nil || v.EmptyDir != nil && v.EmptyDir.Medium == corev1.StorageMediumDefault
}

func claimOf(pod *corev1.Pod, v *corev1.Volume) *statsv1.PVCReference {
	switch {
	case v.PersistentVolumeClaim != nil:
		return &statsv1.PVCReference{Name: v.PersistentVolumeClaim.ClaimName, Namespace: pod.Namespace}
	case v.Ephemeral != nil:
		return &statsv1.PVCReference{Name: pod.Name + "-" + v.Name, Namespace: pod.Namespace}
	}
	return nil
}

func memoryLimit(pod *corev1.Pod, name string) uint64 {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range list {
			if c.Name == name {
				return uint64(c.Resources.Limits.Memory().Value())
			}
		}
	}
	return 0
}

func cpu(s container.Stats, nano *uint64) *statsv1.CPUStats {
	return &statsv1.CPUStats{Time: metav1.NewTime(s.Time), UsageCoreNanoSeconds: &s.CPUNanos, UsageNanoCores: nano}
}

// memory with the limit that available is counted from; 0 for none.
func memory(s container.Stats, limit uint64) *statsv1.MemoryStats {
	m := &statsv1.MemoryStats{
		Time: metav1.NewTime(s.Time), UsageBytes: &s.MemoryUsage, WorkingSetBytes: &s.MemoryWorkingSet, RSSBytes: &s.MemoryRSS,
		PageFaults: &s.PageFaults, MajorPageFaults: &s.MajorPageFaults,
	}
	if limit > 0 {
		left := less(limit, s.MemoryWorkingSet)
		m.AvailableBytes = &left
	}
	return m
}

func onDisk(s container.Stats, fs fileSystem, used container.DiskUsage) *statsv1.FsStats {
	return &statsv1.FsStats{
		Time: metav1.NewTime(s.Time), AvailableBytes: &fs.free, CapacityBytes: &fs.size, UsedBytes: &used.Bytes,
		InodesFree: &fs.freeInodes, Inodes: &fs.inodes, InodesUsed: &used.Inodes,
	}
}

func network(s container.Stats, n *Network) *statsv1.NetworkStats {
	if n == nil {
		return nil
	}
	out := &statsv1.NetworkStats{Time: metav1.NewTime(s.Time)}
	for _, i := range n.Interfaces {
		x := statsv1.InterfaceStats{Name: i.Name, RxBytes: &i.RxBytes, RxErrors: &i.RxErrors, TxBytes: &i.TxBytes, TxErrors: &i.TxErrors}
		out.Interfaces = append(out.Interfaces, x)
		if i.Name == n.Default {
			out.InterfaceStats = x
		}
	}
	return out
}

func sum(a, b container.DiskUsage) container.DiskUsage {
	return container.DiskUsage{Bytes: a.Bytes + b.Bytes, Inodes: a.Inodes + b.Inodes}
}
