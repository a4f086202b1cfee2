package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/agent/podplan"
	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/image"
)

// Annotations kept with a container.
const (
	annTermPath   = "termination-file"
	annTermPolicy = "termination-policy"
	annHostname   = "HOSTNAME"
)

// runSandbox puts the pod on the network and starts its sandbox.
func (w *worker) runSandbox(ctx context.Context, pod *corev1.Pod, attempt int) error {
	if err := w.a.setupPodCgroup(pod); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	netns, ips := w.a.cfg.HostNetNS, w.a.cfg.NodeIPs
	if !pod.Spec.HostNetwork {
		var err error
		netns = w.a.netnsPath(w.ref.UID)
		if ips, err = w.a.cfg.Network.Setup(ctx, w.ref.UID, netns, pod); err != nil {
			return err
		}
	}
	if err := w.a.writePodFiles(pod, ips); err != nil {
		return err
	}
	name, _ := podHostname(pod, w.a.cfg.ClusterDomain)
	handler, err := w.a.runtimeHandler(ctx, pod)
	if err != nil {
		return err
	}
	_, err = w.a.cfg.Runtime.RunSandbox(ctx, container.SandboxConfig{
		Pod: w.ref, Attempt: attempt, Hostname: name, NetNSPath: netns, IPs: ips,
		HostNetwork: pod.Spec.HostNetwork, HostPID: pod.Spec.HostPID, HostIPC: pod.Spec.HostIPC,
		SharePID:     pod.Spec.ShareProcessNamespace != nil && *pod.Spec.ShareProcessNamespace,
		CgroupParent: w.a.podCgroup(pod), Sysctls: sysctls(pod), Handler: handler,
	})
	return err
}

func sysctls(pod *corev1.Pod) map[string]string {
	if pod.Spec.SecurityContext == nil || len(pod.Spec.SecurityContext.Sysctls) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, s := range pod.Spec.SecurityContext.Sysctls {
		out[s.Name] = s.Value
	}
	return out
}

// startContainer creates and starts one container of the running sandbox.
func (w *worker) startContainer(ctx context.Context, pod *corev1.Pod, sb container.Sandbox, c *corev1.Container, attempt int) error {
	img, err := w.ensureImage(ctx, pod, c)
	if err != nil {
		return err
	}
	if err := verifyNonRoot(pod, c, img); err != nil {
		w.event(pod, c, corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
		return &startError{"CreateContainerConfigError", err, pullBackoff}
	}
	// The pod's resources may have changed since the sandbox was made.
	if err := w.a.setupPodCgroup(pod); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	cfg, err := w.containerConfig(ctx, pod, sb, c, attempt)
	if err != nil {
		w.event(pod, c, corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
		return &startError{"CreateContainerConfigError", err, 10 * time.Second}
	}
	id, err := w.a.cfg.Runtime.CreateContainer(ctx, cfg)
	if err != nil {
		if errors.Is(err, container.ErrAlreadyExists) || ctx.Err() != nil {
			// Look again: the next plan sees what is there.
			return err
		}
		w.event(pod, c, corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
		return &startError{"CreateContainerError", err, 10 * time.Second}
	}
	w.event(pod, c, corev1.EventTypeNormal, "Created", "Container created")
	if err := w.a.cfg.Runtime.StartContainer(ctx, id); err != nil {
		w.event(pod, c, corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
		return err
	}
	w.event(pod, c, corev1.EventTypeNormal, "Started", "Container started")
	if c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
		if err := w.a.hook(ctx, c.Lifecycle.PostStart, c, id, firstOf(sb.IPs)); err != nil {
			w.event(pod, c, corev1.EventTypeWarning, "FailedPostStartHook", "PostStartHook failed: "+err.Error())
			w.event(pod, c, corev1.EventTypeNormal, "Killing", "FailedPostStartHook")
			return errors.Join(err, w.a.cfg.Runtime.StopContainer(context.WithoutCancel(ctx), id, 30*time.Second))
		}
	}
	return nil
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func (w *worker) containerConfig(ctx context.Context, pod *corev1.Pod, sb container.Sandbox, c *corev1.Container, attempt int) (container.Config, error) {
	f := w.a.fields(pod, sb.IPs)
	env, err := w.a.environment(ctx, pod, c, f)
	if err != nil {
		return container.Config{}, err
	}
	vars := map[string]string{}
	for _, e := range env {
		vars[e.Name] = e.Value
	}
	host, _ := podHostname(pod, w.a.cfg.ClusterDomain)
	if pod.Spec.HostNetwork {
		if host, err = os.Hostname(); err != nil {
			return container.Config{}, err
		}
	}
	ref, err := image.Normalize(c.Image)
	if err != nil {
		return container.Config{}, err
	}
	mounts, err := w.mounts(pod, c, attempt, vars)
	if err != nil {
		return container.Config{}, err
	}
	term := w.terminationFile(c.Name, attempt)
	if err := makeTerminationFile(term); err != nil {
		return container.Config{}, err
	}
	mounts = append(mounts, container.Mount{Source: term, Target: orDefault(c.TerminationMessagePath, corev1.TerminationMessagePathDefault)})
	sec := effective(pod, c)
	inForce, err := json.Marshal(c.Resources)
	if err != nil {
		return container.Config{}, err
	}
	res := cgroupResources(c.Resources)
	res.OOMScoreAdj = oomScore(pod, c, w.a.memory)
	return container.Config{
		Pod: w.ref, SandboxID: sb.ID, Name: c.Name, Attempt: attempt, Image: ref,
		Command: expandAll(c.Command, vars), Args: expandAll(c.Args, vars),
		Env: append([]container.EnvVar{{Name: annHostname, Value: host}}, env...), WorkingDir: c.WorkingDir,
		Mounts: mounts, TTY: c.TTY, Stdin: c.Stdin, StdinOnce: c.StdinOnce,
		LogPath:      filepath.Join(w.a.logDir(w.ref), c.Name, strconv.Itoa(attempt)+".log"),
		Security:     sec.Security,
		Resources:    res,
		CgroupParent: w.a.podCgroup(pod),
		StopSignal:   stopSignal(c),
		Hash:         podplan.Hash(c),
		Annotations: map[string]string{
			annTermPath: term, annTermPolicy: string(c.TerminationMessagePolicy), podplan.AnnResources: string(inForce),
		},
	}, nil
}

func stopSignal(c *corev1.Container) string {
	if c.Lifecycle != nil && c.Lifecycle.StopSignal != nil {
		return string(*c.Lifecycle.StopSignal)
	}
	return ""
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func expandAll(in []string, vars map[string]string) []string {
	out := slices.Clone(in)
	for i := range out {
		out[i] = expand(out[i], vars)
	}
	return out
}

func (w *worker) terminationFile(name string, attempt int) string {
	return filepath.Join(w.a.volumes.PodDir(w.ref.UID), "containers", name, strconv.Itoa(attempt)+".termination")
}

// makeTerminationFile makes a file that any user of the container may write.
func makeTerminationFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		return err
	}
	return os.Chmod(path, 0o666)
}

// mounts lists what is mounted into a container besides its image.
func (w *worker) mounts(pod *corev1.Pod, c *corev1.Container, attempt int, vars map[string]string) ([]container.Mount, error) {
	uid := w.ref.UID
	etc := filepath.Join(w.a.volumes.PodDir(uid), "etc")
	var out []container.Mount
	for _, name := range []string{"hosts", "resolv.conf", "hostname"} {
		target := "/etc/" + name
		if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return filepath.Clean(m.MountPath) == target }) {
			out = append(out, container.Mount{Source: filepath.Join(etc, name), Target: target})
		}
	}
	shm := "/dev/shm"
	if !pod.Spec.HostIPC {
		var err error
		if shm, err = w.a.volumes.Shm(uid); err != nil {
			return nil, err
		}
	}
	out = append(out, container.Mount{Source: shm, Target: "/dev/shm"})
	for i := range c.VolumeMounts {
		m, err := w.volumeMount(c, &c.VolumeMounts[i], fmt.Sprintf("%s-%d-%d", c.Name, attempt, i), vars)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (w *worker) volumeMount(c *corev1.Container, m *corev1.VolumeMount, key string, vars map[string]string) (container.Mount, error) {
	src, ok := w.paths[m.Name]
	if !ok {
		return container.Mount{}, fmt.Errorf("volume %q of container %s is not there", m.Name, c.Name)
	}
	sub := m.SubPath
	if m.SubPathExpr != "" {
		sub = expand(m.SubPathExpr, vars)
	}
	if sub != "" {
		var err error
		if src, err = w.a.volumes.SubPath(w.ref.UID, src, sub, key); err != nil {
			return container.Mount{}, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", m.Name, c.Name, err)
		}
	}
	out := container.Mount{Source: src, Target: m.MountPath, ReadOnly: m.ReadOnly || w.readOnly[m.Name]}
	if !filepath.IsAbs(out.Target) {
		out.Target = "/" + out.Target
	}
	if p := m.MountPropagation; p != nil {
		out.Propagation = map[corev1.MountPropagationMode]string{corev1.MountPropagationHostToContainer: "rslave", corev1.MountPropagationBidirectional: "rshared"}[*p]
	}
	if r := m.RecursiveReadOnly; r != nil && *r == corev1.RecursiveReadOnlyEnabled {
		out.RecursiveReadOnly = true
	}
	return out, nil
}

// readOnlyVolumes are those whose content belongs to the agent.
func readOnlyVolumes(pod *corev1.Pod) map[string]bool {
	out := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		if v.Image != nil || v.ConfigMap != nil || v.Secret != nil || v.DownwardAPI != nil || v.Projected != nil ||
			v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ReadOnly {
			out[v.Name] = true
		}
	}
	return out
}
