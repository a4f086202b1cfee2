package agent

import (
	"bufio"
	"cmp"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func nodeLabels(name string) map[string]string {
	return map[string]string{
		corev1.LabelHostname: name, corev1.LabelOSStable: runtime.GOOS, corev1.LabelArchStable: runtime.GOARCH,
		"beta.kubernetes.io/os": runtime.GOOS, "beta.kubernetes.io/arch": runtime.GOARCH,
	}
}

// capacity is what the machine has.
func (a *Agent) capacity() corev1.ResourceList {
	var fs unix.Statfs_t
	disk := int64(0)
	if err := unix.Statfs(a.cfg.DataDir, &fs); err == nil {
		disk = int64(fs.Blocks) * fs.Bsize
	}
	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(a.memory, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(disk, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(int64(a.cfg.MaxPods), resource.DecimalSI),
		"hugepages-1Gi":                 *resource.NewQuantity(0, resource.DecimalSI),
		"hugepages-2Mi":                 *resource.NewQuantity(0, resource.DecimalSI),
	}
}

// machineMemory is the machine's memory in bytes.
func machineMemory() int64 { return meminfo("MemTotal") }

func meminfo(key string) int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), key+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}

// pressure is what the machine is short of.
type pressure struct{ memory, disk, pids bool }

// Thresholds of pressure.
const (
	minMemory   = 100 << 20
	minDiskPart = 20 // one twentieth
	minPids     = 1000
)

func measurePressure(dir string) pressure {
	var p pressure
	if free := meminfo("MemAvailable"); free > 0 {
		p.memory = free < minMemory
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil && fs.Blocks > 0 {
		p.disk = fs.Bavail < fs.Blocks/minDiskPart
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		p.pids = pidMax()-int(info.Procs) < minPids
	}
	return p
}

func pidMax() int {
	b, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return 1 << 15
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 1 << 15
	}
	return n
}

func machineInfo(runtimeVersion, kubeletVersion string) corev1.NodeSystemInfo {
	var u unix.Utsname
	// Cannot fail with a valid pointer.
	_ = unix.Uname(&u)
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	return corev1.NodeSystemInfo{
		MachineID: read("/etc/machine-id"), SystemUUID: read("/sys/class/dmi/id/product_uuid"), BootID: read("/proc/sys/kernel/random/boot_id"),
		KernelVersion: unix.ByteSliceToString(u.Release[:]), OSImage: osImage(read("/etc/os-release")),
		ContainerRuntimeVersion: runtimeVersion, KubeletVersion: kubeletVersion,
		OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH,
	}
}

func osImage(release string) string {
	for line := range strings.Lines(release) {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return runtime.GOOS
}

// sortImages puts the largest first, and gives equal ones an order.
func sortImages(list []corev1.ContainerImage) []corev1.ContainerImage {
	slices.SortFunc(list, func(x, y corev1.ContainerImage) int {
		if x.SizeBytes != y.SizeBytes {
			return cmp.Compare(y.SizeBytes, x.SizeBytes)
		}
		return slices.Compare(x.Names, y.Names)
	})
	return list
}
