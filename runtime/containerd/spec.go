package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pintle-io/pintle/runtime/container"
)

// shimGroup makes all containers of a pod share one shim process.
const shimGroup = "io.containerd.runc.v2.group"

// containerSpec lists what makes the OCI spec of a container. pausePid is the
// sandbox's process, whose namespaces are joined.
func (r *Runtime) containerSpec(cfg container.Config, img ocispec.ImageConfig, sb sandboxInfo) ([]oci.SpecOpts, error) {
	args, err := processArgs(cfg, img)
	if err != nil {
		return nil, err
	}
	opts := []oci.SpecOpts{
		base(cfg.CgroupParent, container.ID(cfg.Pod.UID, cfg.Name, cfg.Attempt), cfg.SandboxID),
		oci.WithProcessArgs(args...),
		oci.WithEnv(environment(cfg, img)),
		oci.WithProcessCwd(workingDir(cfg, img)),
		joinNamespaces(sb),
		resources(cfg.Resources, r.minOOM),
	}
	if cfg.TTY {
		opts = append(opts, oci.WithTTY)
	}
	opts = append(opts, userOpts(cfg.Security, img.User)...)
	opts = append(opts, securityOpts(cfg.Security)...)
	for _, d := range cfg.Devices {
		opts = append(opts, oci.WithDevices(d.Host, d.Container, d.Permissions))
	}
	return append(opts, mounts(cfg.Mounts)), nil
}

// base is containerd's default spec without what differs from Kubernetes'.
func base(cgroupParent, id, group string) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		s.Process.NoNewPrivileges = false
		s.Process.Rlimits = nil
		s.Linux.CgroupsPath = path.Join("/", cgroupParent, id)
		s.Annotations = map[string]string{shimGroup: group}
		s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/run" })
		s.Mounts = append(s.Mounts, specs.Mount{
			Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
			Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"},
		})
		return nil
	}
}

// processArgs merges command and args with the image's, as Kubernetes does: a
// command drops both of the image's, args only its own.
func processArgs(cfg container.Config, img ocispec.ImageConfig) ([]string, error) {
	entry, args := cfg.Command, cfg.Args
	if len(entry) == 0 {
		entry = img.Entrypoint
		if len(args) == 0 {
			args = img.Cmd
		}
	}
	all := append(slices.Clone(entry), args...)
	if len(all) == 0 || all[0] == "" {
		return nil, errors.New("no command specified, neither by the container nor by its image")
	}
	return all, nil
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment appends ours to the image's; oci.WithEnv lets later ones win.
func environment(cfg container.Config, img ocispec.ImageConfig) []string {
	env := append([]string{defaultPath}, img.Env...)
	for _, e := range cfg.Env {
		env = append(env, e.Name+"="+e.Value)
	}
	return env
}

func workingDir(cfg container.Config, img ocispec.ImageConfig) string {
	switch {
	case cfg.WorkingDir != "":
		return cfg.WorkingDir
	case img.WorkingDir != "":
		return img.WorkingDir
	}
	return "/"
}

// sandboxInfo is what a container needs to know of its sandbox.
type sandboxInfo struct {
	Pid                                     uint32
	NetNSPath                               string
	HostNetwork, HostPID, HostIPC, SharePID bool
}

// joinNamespaces enters those the sandbox holds and leaves out the host's.
func joinNamespaces(sb sandboxInfo) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		join := func(t specs.LinuxNamespaceType, file string, host bool) {
			s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t })
			if !host {
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: file})
			}
		}
		of := func(ns string) string { return fmt.Sprintf("/proc/%d/ns/%s", sb.Pid, ns) }
		join(specs.NetworkNamespace, sb.NetNSPath, sb.NetNSPath == "")
		join(specs.UTSNamespace, of("uts"), sb.HostNetwork)
		join(specs.IPCNamespace, of("ipc"), sb.HostIPC)
		if sb.HostPID || sb.SharePID {
			join(specs.PIDNamespace, of("pid"), sb.HostPID)
		}
		if cgroupV2() {
			join(specs.CgroupNamespace, "", false)
		}
		return nil
	}
}

func userOpts(sec container.Security, imageUser string) []oci.SpecOpts {
	user := imageUser
	if sec.RunAsUser != nil {
		user = strconv.FormatInt(*sec.RunAsUser, 10)
	}
	if user == "" {
		user = "0"
	}
	opts := []oci.SpecOpts{oci.WithUser(user)}
	if sec.RunAsGroup != nil {
		opts = append(opts, func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
			s.Process.User.GID = uint32(*sec.RunAsGroup)
			return nil
		})
	}
	name, _, _ := strings.Cut(user, ":")
	if !sec.StrictGroups {
		opts = append(opts, oci.WithAdditionalGIDs(name))
	}
	return append(opts, func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		u := &s.Process.User
		groups := append([]uint32{u.GID}, u.AdditionalGids...)
		for _, g := range sec.SupplementalGroups {
			groups = append(groups, uint32(g))
		}
		slices.Sort(groups)
		u.AdditionalGids = slices.Compact(groups)
		return nil
	})
}

func securityOpts(sec container.Security) []oci.SpecOpts {
	if sec.Privileged {
		opts := []oci.SpecOpts{oci.WithPrivileged, oci.WithHostDevices, oci.WithAllDevicesAllowed}
		if sec.ReadOnlyRoot {
			opts = append(opts, oci.WithRootFSReadonly())
		}
		return opts
	}
	opts := capabilityOpts(sec)
	if sec.ReadOnlyRoot {
		opts = append(opts, oci.WithRootFSReadonly())
	}
	if sec.NoNewPrivileges {
		opts = append(opts, oci.WithNoNewPrivileges)
	}
	if sec.UnmaskedProc {
		opts = append(opts, oci.WithMaskedPaths(nil), oci.WithReadonlyPaths(nil))
	}
	// Last, because the default profile depends on the capabilities.
	switch sec.Seccomp {
	case "":
	case "runtime/default":
		opts = append(opts, seccomp.WithDefaultProfile())
	default:
		opts = append(opts, seccomp.WithProfile(sec.Seccomp))
	}
	return opts
}

// capabilityOpts applies ALL first, then single ones; drops win.
func capabilityOpts(sec container.Security) []oci.SpecOpts {
	names := func(in []string) (out []string, all bool) {
		for _, c := range in {
			if strings.EqualFold(c, "ALL") {
				all = true
				continue
			}
			out = append(out, "CAP_"+strings.TrimPrefix(strings.ToUpper(c), "CAP_"))
		}
		return out, all
	}
	add, addAll := names(sec.AddCaps)
	drop, dropAll := names(sec.DropCaps)
	var opts []oci.SpecOpts
	if addAll {
		opts = append(opts, oci.WithAllCurrentCapabilities)
	}
	if dropAll {
		opts = append(opts, oci.WithCapabilities(nil))
	}
	return append(opts, oci.WithAddedCapabilities(add), oci.WithDroppedCapabilities(drop))
}

func resources(res container.Resources, minOOM int) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		l := s.Linux.Resources
		l.CPU = &specs.LinuxCPU{}
		if res.CPUShares > 0 {
			l.CPU.Shares = &res.CPUShares
		}
		if res.CPUQuota > 0 {
			l.CPU.Quota, l.CPU.Period = &res.CPUQuota, &res.CPUPeriod
		}
		if res.MemoryLimit > 0 {
			l.Memory = &specs.LinuxMemory{Limit: &res.MemoryLimit}
		}
		if res.PidsLimit > 0 {
			l.Pids = &specs.LinuxPids{Limit: &res.PidsLimit}
		}
		adj := max(res.OOMScoreAdj, minOOM)
		s.Process.OOMScoreAdj = &adj
		return nil
	}
}

// mounts adds binds, parents before children, replacing defaults of the same
// target.
func mounts(list []container.Mount) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		for _, m := range list {
			target := path.Clean(m.Target)
			s.Mounts = slices.DeleteFunc(s.Mounts, func(o specs.Mount) bool { return path.Clean(o.Destination) == target })
			s.Mounts = append(s.Mounts, bindMount(m, target))
			switch m.Propagation {
			case "rshared":
				s.Linux.RootfsPropagation = "rshared"
			case "rslave":
				if s.Linux.RootfsPropagation != "rshared" {
					s.Linux.RootfsPropagation = "rslave"
				}
			}
		}
		slices.SortStableFunc(s.Mounts, func(a, b specs.Mount) int {
			return strings.Count(path.Clean(a.Destination), "/") - strings.Count(path.Clean(b.Destination), "/")
		})
		return nil
	}
}

func bindMount(m container.Mount, target string) specs.Mount {
	opts := []string{"rbind", "rprivate"}
	if m.Propagation == "rshared" || m.Propagation == "rslave" {
		opts[1] = m.Propagation
	}
	switch {
	case m.ReadOnly && m.RecursiveReadOnly:
		opts = append(opts, "rro")
	case m.ReadOnly:
		opts = append(opts, "ro")
	default:
		opts = append(opts, "rw")
	}
	return specs.Mount{Destination: target, Type: "bind", Source: m.Source, Options: opts}
}

func cgroupV2() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

// capSysResource is the bit of CAP_SYS_RESOURCE.
const capSysResource = 24

// lowestOOMScore is the lowest oom_score_adj that this machine lets us set.
func lowestOOMScore() int {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil && hasCapability(string(status), capSysResource) {
		return -1000
	}
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0
	}
	return max(0, atoi(strings.TrimSpace(string(own))))
}

// hasCapability looks for a bit of the effective set in /proc/self/status.
func hasCapability(status string, bit uint) bool {
	for line := range strings.Lines(status) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			mask, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err == nil && mask>>bit&1 == 1
		}
	}
	return false
}
