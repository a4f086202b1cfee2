package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	"k8s.io/kubectl/pkg/util/qos"

	"github.com/pintle-io/pintle/runtime/container"
)

const (
	cgroupRoot = "/sys/fs/cgroup"
	cpuPeriod  = 100_000
	minShares  = 2
)

// podCgroup is where a pod's containers go: a level per class of service, then
// one per pod.
func (a *Agent) podCgroup(pod *corev1.Pod) string {
	class := map[corev1.PodQOSClass]string{corev1.PodQOSBestEffort: "besteffort", corev1.PodQOSBurstable: "burstable"}[qos.GetPodQOS(pod)]
	return filepath.Join(a.cfg.CgroupParent, "kubepods", class, "pod"+string(pod.UID))
}

// setupPodCgroup makes the pod's cgroup with the sum of its containers' limits.
func (a *Agent) setupPodCgroup(pod *corev1.Pod) error {
	reqs := resource.PodRequests(pod, resource.PodResourcesOptions{})
	limits := resource.PodLimits(pod, resource.PodResourcesOptions{})
	r := cgroupResources(corev1.ResourceRequirements{Requests: reqs, Limits: limits})
	if !allLimited(pod, corev1.ResourceMemory) {
		r.MemoryLimit = 0
	}
	if !allLimited(pod, corev1.ResourceCPU) {
		r.CPUQuota = 0
	}
	path := a.podCgroup(pod)
	if cgroupV2() {
		return writeCgroup2(path, r)
	}
	return writeCgroup1(path, r)
}

func allLimited(pod *corev1.Pod, name corev1.ResourceName) bool {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range list {
			if q, ok := c.Resources.Limits[name]; !ok || q.IsZero() {
				return false
			}
		}
	}
	return true
}

// cgroupResources translates a container's resources.
func cgroupResources(r corev1.ResourceRequirements) container.Resources {
	var out container.Resources
	milli, limit := r.Requests.Cpu().MilliValue(), r.Limits.Cpu().MilliValue()
	if milli == 0 {
		milli = limit
	}
	out.CPUShares = uint64(max(milli*1024/1000, minShares))
	if limit > 0 {
		out.CPUPeriod, out.CPUQuota = cpuPeriod, max(limit*cpuPeriod/1000, 1000)
	}
	out.MemoryLimit = r.Limits.Memory().Value()
	return out
}

func cgroupV2() bool {
	_, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers"))
	return err == nil
}

func writeCgroup1(path string, r container.Resources) error {
	// No limit is written too: there may have been one.
	values := map[string]map[string]string{
		"cpu":    {"cpu.shares": fmt.Sprint(r.CPUShares), "cpu.cfs_period_us": fmt.Sprint(cpuPeriod), "cpu.cfs_quota_us": "-1"},
		"memory": {"memory.limit_in_bytes": "-1"}, "pids": {},
	}
	if r.CPUQuota > 0 {
		values["cpu"]["cpu.cfs_quota_us"] = fmt.Sprint(r.CPUQuota)
	}
	if r.MemoryLimit > 0 {
		values["memory"]["memory.limit_in_bytes"] = fmt.Sprint(r.MemoryLimit)
	}
	for controller, files := range values {
		root := filepath.Join(cgroupRoot, controller)
		if _, err := os.Stat(root); err != nil {
			continue
		}
		if err := writeFiles(filepath.Join(root, path), files); err != nil {
			return err
		}
	}
	return nil
}

func writeCgroup2(path string, r container.Resources) error {
	dir := cgroupRoot
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		// Controllers must be passed on at every level above.
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+cpu +memory +pids"), 0); err != nil {
			return err
		}
		dir = filepath.Join(dir, part)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{"cpu.weight": fmt.Sprint(cpuWeight(r.CPUShares)), "cpu.max": "max", "memory.max": "max"}
	if r.CPUQuota > 0 {
		files["cpu.max"] = fmt.Sprintf("%d %d", r.CPUQuota, r.CPUPeriod)
	}
	if r.MemoryLimit > 0 {
		files["memory.max"] = fmt.Sprint(r.MemoryLimit)
	}
	return writeFiles(dir, files)
}

// cpuWeight maps shares [2, 262144] to weights [1, 10000], as runc 1.1 does.
func cpuWeight(shares uint64) uint64 { return 1 + (max(shares, minShares)-2)*9999/262142 }

func writeFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, value := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// RemoveCgroup removes a cgroup and those below it from every hierarchy; they must
// hold no process.
func RemoveCgroup(path string) error {
	roots := []string{cgroupRoot}
	if !cgroupV2() {
		entries, err := os.ReadDir(cgroupRoot)
		if err != nil {
			return err
		}
		roots = nil
		for _, e := range entries {
			if e.IsDir() {
				roots = append(roots, filepath.Join(cgroupRoot, e.Name()))
			}
		}
	}
	var errs []error
	for _, root := range roots {
		errs = append(errs, removeCgroupDir(filepath.Join(root, path)))
	}
	return errors.Join(errs...)
}

func removeCgroupDir(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		if rerr := os.Remove(dirs[i]); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// oomScore says how readily the kernel kills a container when memory is short.
func oomScore(pod *corev1.Pod, c *corev1.Container, nodeMemory int64) int {
	switch qos.GetPodQOS(pod) {
	case corev1.PodQOSGuaranteed:
		return -997
	case corev1.PodQOSBestEffort:
		return 1000
	}
	score := int64(1000)
	if nodeMemory > 0 {
		score -= 1000 * c.Resources.Requests.Memory().Value() / nodeMemory
	}
	return int(min(max(score, 3), 999))
}
