package stats

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pintle-io/pintle/runtime/container"
)

// machine is what the kernel says of the whole machine. Nodes that share one
// machine all report it.
type machine struct {
	stats   container.Stats
	free    uint64 // memory that could be used
	total   uint64
	procs   int64
	maxPid  int64
	swap    uint64
	network *Network
}

// Network counts what passed through the interfaces of one network namespace.
type Network struct {
	// Default is the interface that leads out, as far as is known.
	Default    string
	Interfaces []Interface
}

// Interface counts bytes, packets, errors and drops.
type Interface struct {
	Name                                    string
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// userHz is the unit of /proc/stat on every architecture Linux has.
const userHz = 100

func readMachine() machine {
	m := machine{stats: container.Stats{Time: time.Now(), CPUNanos: busyNanos()}}
	mem := readKeys("/proc/meminfo")
	m.total, m.free = mem["MemTotal"], mem["MemAvailable"]
	m.swap = less(mem["SwapTotal"], mem["SwapFree"])
	m.stats.MemoryUsage = less(m.total, mem["MemFree"])
	m.stats.MemoryWorkingSet = less(m.stats.MemoryUsage, mem["Inactive(file)"])
	m.stats.MemoryRSS, m.stats.MemoryCache = mem["AnonPages"], mem["Cached"]
	vm := readKeys("/proc/vmstat")
	m.stats.PageFaults, m.stats.MajorPageFaults = vm["pgfault"], vm["pgmajfault"]
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.procs = int64(info.Procs)
	}
	if b, err := os.ReadFile("/proc/sys/kernel/pid_max"); err == nil {
		m.maxPid, _ = strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	}
	m.network = readNetwork(os.Getpid())
	return m
}

func less(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}

// busyNanos is the time all processors were not idle.
func busyNanos() uint64 {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), "\n")
	var ticks uint64
	for i, f := range strings.Fields(first) {
		// The name; idle and waiting for disks; guests, counted as users already.
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue
		}
		n, _ := strconv.ParseUint(f, 10, 64)
		ticks += n
	}
	return ticks * uint64(time.Second/userHz)
}

// readKeys reads "name value" and "name: value kB" lines, in bytes.
func readKeys(path string) map[string]uint64 {
	out := map[string]uint64{}
	f, err := os.Open(path)
	if err != nil {
		return out
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			continue
		}
		if len(fields) == 3 && fields[2] == "kB" {
			n <<= 10
		}
		out[strings.TrimSuffix(fields[0], ":")] = n
	}
	return out
}

// readNetwork reads the counters of the network namespace a process is in; nil if
// it is gone.
func readNetwork(pid int) *Network {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		return nil
	}
	return parseNetwork(string(b))
}

func parseNetwork(text string) *Network {
	var n Network
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if name = strings.TrimSpace(name); !ok || name == "lo" || len(f) < 12 {
			continue
		}
		at := func(i int) uint64 {
			v, _ := strconv.ParseUint(f[i], 10, 64)
			return v
		}
		n.Interfaces = append(n.Interfaces, Interface{
			Name: name, RxBytes: at(0), RxPackets: at(1), RxErrors: at(2), RxDropped: at(3),
			TxBytes: at(8), TxPackets: at(9), TxErrors: at(10), TxDropped: at(11),
		})
		if n.Default == "" || strings.HasPrefix(name, "eth") && !strings.HasPrefix(n.Default, "eth") {
			n.Default = name
		}
	}
	return &n
}
